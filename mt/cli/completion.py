"""Tab completion in bash: Hydra knows the candidates, but no commands of the form `python -m MODULE`."""

from __future__ import annotations

import re

from mt.config.assembly import hydra_at
from mt.config.compose import CONF, register_resolvers
from mt.errors import ConfigError, describe

_SCRIPT = r"""_mutual_taught() {
    local typed=${COMP_LINE:0:COMP_POINT} before=
    [[ $typed =~ \ -m\ +mt\.(run|plan)\  ]] || return 0
    local word=${typed##* }
    COMPREPLY=($(COMP_LINE=$typed "$1" -m mt.run -sc query=bash 2>/dev/null))
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && before=${word%=*}=
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o default -F _mutual_taught python python3"""


def answer(asked: str, line: str) -> str:
    """Return the script for `install=bash`, the candidates for a `line` as far as it is typed for `query=bash`."""
    if asked == "install=bash":
        return _SCRIPT
    if asked == "query=bash":
        return "\n".join(candidates(line))
    raise ConfigError(describe("--shell-completion", asked, "unknown", allowed="install=bash"))


def candidates(line: str) -> list[str]:
    """Return what the last word of a command line may become."""
    # late: needed at the press of a key only
    from hydra._internal.core_plugins.bash_completion import BashCompletion
    from hydra.core.global_hydra import GlobalHydra

    *given, last = re.sub(r"^.*? -m +mt\.\w+ ", "", line).split(" ")
    words = [word for word in given if word and not word.startswith("-")]
    register_resolvers()
    with hydra_at(CONF):
        plugin = BashCompletion(GlobalHydra.instance().config_loader())
        found: list[str] = plugin._query(config_name="config", line=" ".join([*words, last]))
    return found
