"""A mistake on the command line is one line: the setting, its value, what is allowed, the nearest name."""

from __future__ import annotations

import re

import pytest

from mt.config.compose import compose_runs
from mt.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["objective=dpoo"], r"objective=dpoo: no such choice\. Allowed: .*dpo.*Did you mean 'dpo'\?"),
        (["beta=1"], r"beta=1: no such setting.*Did you mean 'objective\.beta'\?"),
        (["bta=1"], r"bta=1: no such setting.*Did you mean 'objective\.beta'\?"),
        (["Sampling.Top_P=1"], r"Did you mean 'sampling\.top_p'\?"),
        (["objective=DPO"], r"objective=DPO: no such choice.*Did you mean 'dpo'\?"),
        (["policy.training.lora.rnk=8"], r"lora\.rank, .*Did you mean 'policy\.training\.lora\.rank'\?"),
        (["reward.selection.ties=1"], r"reward\.selection is null\. Choose it first: reward\.selection\.name=NAME"),
        (["objective.betta=1"], r"objective\.betta=1: no such setting.*Did you mean 'objective\.beta'\?"),
        (["objective=orpo", "objective.beta=1"], r"objective\.beta=1: the choices made .*choose objective=apo.*"),
        (["eval=[held_out]", "eval.alpaca_eval.prompts=9"], r"=9: the choices made .* add alpaca_eval to eval=\["),
        (["objective.tau=1"], r"choices made .*Leave it out, or choose objective=ipo, which has it\.$"),
        (["data.path=F"], r"choices made .*choose data=hub, jsonl or ultrafeedback, which has it\.$"),
        (["launch.gpu_type=a100"], r"choose launch=slurm, which has it\.$"),
        (
            ["data=jsonl"],
            r"^data\.path: it has no value\. Allowed: a list, .*of files, or one file\. Add data\.path=VALUE\.$",
        ),
        (["reward=function"], r"^reward\.function: it has no value\. Allowed: text\. Add reward\.function=VALUE\.$"),
        (["seed = 1"], r"^override=seed = 1: a space before =\. Allowed: no spaces around =\. Write seed=1\.$"),
        (
            ["policy.training.lora=8"],
            r"group of settings.*\. Set .* such as policy\.training\.lora\.rank=16, or .*=null",
        ),
        (["reward.selection=8"], r"such as reward\.selection\.name=NAME"),
        (["~objective"], r"^~objective: a run cannot do without it\. Choose another one: objective=NAME\.$"),
        (["method=dpo"], r"method=dpo: no such choice.*It is a choice elsewhere: objective=dpo\.$"),
        (["lr=1"], r"Did you mean 'policy\.training\.learning_rate'\?$"),
        (["T=3"], r"Did you mean 'iterations'\?$"),
        (["K=3"], r"Did you mean 'sampling\.samples'\?$"),
        (["temp=0.5"], r"Did you mean 'sampling\.temperature'\?$"),
        (["foo=1"], r"^foo=1: no such setting\. [^?]*$"),
        (["+foo=1"], r"^foo=1: no such setting\.$"),
        (["rm_data.foo=1"], r"^rm_data\.foo=1: no such setting[^?]*$"),
        (
            ["sampling.samples=1"],
            r"sampling\.samples=1: too small\. Allowed: a whole number, at least 2 and at most",
        ),
        (["iterations=0"], r"iterations=0: too small\. Allowed: a whole number, at least 1 and at most 100\."),
        (["rounds=x"], r"rounds=x: not a whole number\. Allowed: .* at most 100\."),
        (["seed=-1"], r"seed=-1: too small\. Allowed: a whole number, at least 0 and at most 4294967295\."),
        (["+sampling.extra=1"], r"sampling\.extra=1: no such setting"),
        (["rm_data=gold", "data=jsonl", "data.path=x", "policy.path=p", "reward.path=r"], r"rm_data=gold: .*gold"),
        (["data=jsonl", "data.path=x"], r"policy\.path=null: .*Add policy\.path=DIR"),
        (["experiment=nope"], r"experiment=nope: no such choice"),
        (["eval=[hold_out]"], r"eval=hold_out: no such choice\..*Did you mean 'held_out'\?"),
        (["objective=3"], r"objective=3: no such choice\. Allowed: .*dpo"),
        (["objective=null"], r"objective=null: no such choice\. Allowed: .*dpo"),
        (["seed=0,1"], r"seed=0,1: several values make a sweep\. Add -m"),
        (["seed"], r"override=seed: not a setting\. Allowed: NAME=VALUE"),
        (["=3"], r"override==3: not a setting"),
        (
            ["data.path=ä.csv"],
            r"""data\.path=ä\.csv: cannot be read .*Put the value in quotes.*'data\.path="ä\.csv"'""",
        ),
        (["store="], r"store=: empty\. Allowed: text, not empty"),
        (["sampling.temperature=inf"], r"sampling\.temperature=inf: .*finite"),
        ([f"name={'x' * 5000}"], r"^name=x{300}…: too long\. Allowed: text, at most 120 letters, digits"),
        (["name=a\nb"], r"^override=name=a b: cannot be read"),
        (
            ["name=.."],
            r"name=\.\.: not such a text\. Allowed: text, at most 120 letters, digits and _\.,=\+-, the first",
        ),
        (["name=true"], r"name=true: not a text"),
        (["name=1.50"], r"""name=1\.5: not a text\..* all in others: 'name="1\.50"'\.$"""),
        (["seed=)"], r"seed=\): cannot be read \('\)' is not expected there\)"),
        (["objective=dpo,"], r"objective=dpo,: cannot be read \(it ends too early\)"),
        (["+seed=2"], r"^\+seed=2: it is there already\. Leave the \+ out: seed=2\.$"),
        (["+objective=ipo"], r"^\+objective=ipo: it is there already\. Leave the \+ out: objective=ipo\.$"),
        (["policy.training.lora={rank:1,alpha:1,targets:[]}"], r"lora\.targets=\[\]: too few values\. .*not empty"),
        (
            ["judge=transformers", "judge.path=x", "judge.logprobs.dtype=bfloat16"],
            r"^judge\.logprobs\.dtype=bfloat16: judge\.logprobs is the same as logprobs\. Set logprobs\.dtype, or",
        ),
        (
            ["sampling.temperature=1e-320"],
            r"sampling\.temperature=1e-320: too small\. Allowed: 0, which decodes greedily",
        ),
        (["eval.held_out.decoding.temperature=0.001"], r"^eval\.held_out\.decoding\.temperature=0\.001: too small"),
        (["policy.training.epochs=1e18"], r"policy\.training\.epochs=1e\+18: too large"),
        (["data.language.mix.chat=0.5"], r"^data\.language\.mix=1\.2: the sum of its shares, which has to be 1"),
        (["data.policy.heads=3"], r"^data\.policy\.hidden_size=64: no multiple of twice heads=3\. .* multiple of 6"),
        (
            ["data.transfer_policy.key_value_heads=3"],
            r"^data\.transfer_policy\.key_value_heads=3: no divisor of heads=4\. Allowed: 1, 2, 4\.",
        ),
        (["data.policy.layers=100000"], r"data\.policy\.layers=100000: too large\. .* at most 200"),
        (
            ["policy.template_kwargs=3"],
            r"policy\.template_kwargs=3: not settings in braces\. Allowed: settings",
        ),
        (["@x=1"], r"override=@x=1: not a setting"),
        (["+=1"], r"override=\+=1: not a setting"),
        (["seed=true"], r"^seed=true: not a number\. Allowed: a whole number, at least 0 and at most"),
        (["seed=18446744073709551616"], r"^seed=18446744073709551616: too large\. "),
        # The setting that was typed, and not one that follows it.
        (["sampling.temperature=true"], r"^sampling\.temperature=true: not a number\. .*Set sampling\.temperature="),
        (
            ["policy.training.weight_decay=false"],
            r"policy\.training\.weight_decay=false: not a number\. Allowed: ",
        ),
        (["data.seed=-1"], r"data\.seed=-1: too small\. Allowed: a whole number, at least 0"),
        (["iterations=3000"], r"iterations=3000: too large\. Allowed: .*at most 100\."),
        (["rounds=101"], r"rounds=101: too large\. Allowed: .*at most 100\."),
        (["sampling.max_new_tokens=1e15"], r"sampling\.max_new_tokens=\S+: too large\. .*at most 10000000\."),
        (["eval.alpaca_eval.resamples=1e12"], r"eval\.alpaca_eval\.resamples=\S+: too large\. .*at most 1000000\."),
        (["sampling.samples=1e20"], r"sampling\.samples=1e\+20: too large\. Allowed: .*at most 10000\."),
        (
            ["sampling.top_p=1e-320"],
            r"sampling\.top_p=\S+: too small\. Allowed: a number, at least 1e-06",
        ),
        ([f"seed={'9' * 5000}"], r"^seed=9{300}…: a number of too many digits"),
        ([f"seed={'[' * 20000}"], r"^seed=\[{300}…: "),
        (["method.name=spin"], r"method\.name=spin: the name of a choice is not a setting\. Choose it: method=spin"),
        (["++scale.name=foo"], r"scale\.name=foo: the name of a choice is not a setting"),
        (["objective={name: ipo}"], r"objective=\{name: ipo\}: no such choice\. Allowed: .*dpo"),
        (["objective=[dpo,ipo]"], r"objective=\[dpo,ipo\]: one choice, not a list\. Allowed: .*dpo"),
        (["objective@policy=dpo"], r"objective@policy=dpo: .*Write objective=dpo"),
        (["policy=mine"], r"policy=mine: a group of settings, .*Allowed: policy\.path, policy\.revision"),
        (["policy=null"], r"policy=null: a group of settings"),
        (["policy.training=3"], r"policy\.training=3: a group of settings.*policy\.training\.epochs"),
        (["policy.reference=previos"], r"policy\.reference=previos: no such value\. Allowed: previous, base"),
        (["policy.path={a: 1}"], r"policy\.path=\{'a': 1\}: not a text\. Allowed: text, or null"),
        (["reward.nope=1"], r"reward\.nope=1: no such setting\. Allowed: .*reward\.initial, reward\.labeler"),
        (["~seed"], r"^~seed: a run cannot do without it\. Choose another one: seed=VALUE\.$"),
        (["~objective=ipo"], r"override=~objective=ipo: there is nothing to delete"),
        (["seed=${seed}"], r"seed=\$\{seed\}: "),
        (["seed=${nope}"], r"seed=\$\{nope\}: .*'nope' not found"),
        (["seed=range(1,3"], r"seed=range\(1,3: .*the parenthesis \( is not closed"),
        (["data.path=[a,b"], r"data\.path=\[a,b: .*the bracket \[ is not closed"),
        (["name='a"], r"name='a: .*the quotation mark ' is not closed"),
        (["seed=range(a,b)"], r"seed=range\(a,b\): cannot be read .*Allowed: .*range\(start,stop,step\)"),
        (["seed=extend_list(4)"], r"seed=extend_list\(4\): no such function\. Allowed: choice\(a,b\), range"),
        (["objective.beta=interval(0,1)"], r"objective\.beta=interval\(0,1\): interval\(\) is for optimizers"),
        (["eval=shuffle([held_out,pairwise])"], r"eval=shuffle\(.*Write the list in its order"),
        (["hydra.run.dir=x"], r"hydra\.run\.dir=x: settings of Hydra itself have no effect here\. Use runs=DIR"),
        (["hydra/job_logging=disabled"], r"hydra/job_logging=disabled: .*no effect"),
    ],
)
def test_mistakes_are_named_in_one_line(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose_runs(overrides)
    assert re.search(said, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=range(0,100000)"], r"seed=range\(0,100000\): more than 1,000 values\. Allowed: at most 1,000 runs"),
        (["seed=shuffle(range(0,1000000000000))"], r"more than 1,000 values"),
        (["seed=range(0,inf)"], r"seed=range\(0,inf\): "),
        (["seed=range(nan,1)"], r"seed=range\(nan,1\): not a range\. Allowed: range\(start,stop,step\)"),
        (["seed=range(0,50)", "world_seed=range(0,50)"], r"sweep=50 × 50: 2,500 runs\. Allowed: at most 1,000 runs"),
        (["experiment=table1", "seed=range(0,900)"], r"2,700 runs\. Allowed: at most 1,000 runs"),
        (["seed=range(0,10,0)"], r"seed=range\(0,10,0\): not a range\. Allowed: .*step other than 0"),
        (["seed=range(5,1)"], r"seed=range\(5,1\): it gives no value"),
        (["objective=glob(zz*)"], r"objective=glob\(zz\*\): it gives no value\. Allowed: .*dpo"),
        (["seed=glob(*)"], r"seed=glob\(\*\): glob\(\) is for choices\. Allowed: data, eval"),
        (["objective=dpo,nope"], r"objective=nope: no such choice\. Allowed: .*dpo"),
        (["objective=range(3)"], r"objective=range\(3\): no such choice"),
        (["experiment=choice(table1,nope)"], r"experiment=nope: no such choice"),
        (["objective.beta=interval(0,1)"], r"interval\(\) is for optimizers"),
        (["seed=choice(1,2"], r"the parenthesis \( is not closed"),
        (["~nothing"], r"override=~nothing: there is nothing to delete"),
    ],
)
def test_mistakes_in_a_sweep_are_named_in_one_line(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose_runs(overrides, multirun=True)
    assert re.search(said, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)
