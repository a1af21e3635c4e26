"""Chat templates of our own wording with the structure of the public ones."""

from __future__ import annotations

ALTERNATE = (
    "{%- for m in messages %}{%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('Turns must go user, assistant, user, and so on') }}{%- endif %}{%- endfor %}"
)

LLAMA3 = (
    "{{- bos_token }}"
    "{%- if date_string is not defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '01 Jan 2020' %}{%- endif %}"
    "{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] | trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Knowledge ends: June 2023\nToday is: ' + date_string + '\n\n' + system + '<|eot_id|>' }}"
    "{%- for m in messages %}"
    "{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)

LLAMA2 = (
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system = '' %}{%- endif %}" + ALTERNATE + "{%- for m in messages %}"
    "{%- set content = system + m['content'] if loop.index0 == 0 else m['content'] %}"
    "{%- if m['role'] == 'user' %}{{- bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{%- else %}{{- ' ' + content.strip() + ' ' + eos_token }}{%- endif %}{%- endfor %}"
)

MISTRAL = (
    "{{- bos_token }}" + ALTERNATE + "{%- for m in messages %}"
    "{%- if m['role'] == 'user' %}{{- '[INST] ' + m['content'] + '[/INST]' }}"
    "{%- else %}{{- ' ' + m['content'] + eos_token }}{%- endif %}{%- endfor %}"
)

ZEPHYR = (
    "{% for m in messages %}\n{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token }}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)

CHATML = (
    "{%- for m in messages %}{%- if loop.first and m['role'] != 'system' %}"
    "{{- '<|im_start|>system\nYou answer questions kindly.<|im_end|>\n' }}{%- endif %}"
    "{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)

BARE_CHATML = (
    "{%- for m in messages %}"
    "{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)

QWEN3 = (
    "{%- for m in messages %}{%- set content = m['content'] %}"
    "{%- if m['role'] == 'assistant' %}"
    "{%- if '</think>' in content %}{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}"
    "{%- if loop.last %}{%- set content = '<think>\n\n</think>\n\n' + content %}{%- endif %}{%- endif %}"
    "{{- '<|im_start|>' + m['role'] + '\n' + content + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- endif %}"
)
"""Earlier answers lose their thoughts, the last keeps an empty block of them; without thinking the prompt opens it."""

QWEN35 = QWEN3.replace(
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}",
    "{%- if enable_thinking is defined and enable_thinking is true %}{{- '<think>\n' }}"
    "{%- else %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}",
)
"""The prompt opens the thoughts itself, or closes them at once."""

GEMMA2 = (
    "{{- bos_token }}{%- if messages[0]['role'] == 'system' %}"
    "{{- raise_exception('There is no system turn') }}{%- endif %}" + ALTERNATE + "{%- for m in messages %}"
    "{%- set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{- '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"
)

GEMMA3 = (
    "{{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set first = messages[0]['content'] + '\n\n' %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set first = '' %}{%- endif %}"
    + ALTERNATE
    + "{%- for m in messages %}"
    "{%- set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{- '<start_of_turn>' + role + '\n' + (first if loop.first else '') }}"
    "{{- m['content'] | trim + '<end_of_turn>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"
)

PHI3 = (
    "{%- for m in messages %}{{- '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>\n' }}{%- else %}{{- eos_token }}{%- endif %}"
)
"""A turn ends with <|end|>, the conversation with another token."""

OLMO2 = (
    "{{- bos_token }}{%- for m in messages %}"
    "{%- if m['role'] == 'assistant' %}{{- '<|assistant|>\n' + m['content'] + eos_token }}"
    "{%- if not loop.last %}{{- '\n' }}{%- endif %}"
    "{%- else %}{{- '<|' + m['role'] + '|>\n' + m['content'] + '\n' }}{%- endif %}"
    "{%- if loop.last and add_generation_prompt %}{{- '<|assistant|>\n' }}{%- endif %}{%- endfor %}"
)
"""The roles are plain text."""

GRANITE = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}"
    "{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system = 'Knowledge ends: April 2024.\nToday is ' + strftime_now('%B %d, %Y') + '.' %}"
    "{%- endif %}{{- '<|start_of_role|>system<|end_of_role|>' + system + '<|end_of_text|>\n' }}"
    "{%- for m in messages %}"
    "{{- '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] + '<|end_of_text|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}"
)

COHERE = (
    "{{- bos_token }}{%- for m in messages %}"
    "{%- set role = {'user': 'USER', 'assistant': 'CHATBOT', 'system': 'SYSTEM'}[m['role']] %}"
    "{{- '<|START_OF_TURN_TOKEN|><|' + role + '_TOKEN|>' + m['content'].strip() + '<|END_OF_TURN_TOKEN|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{%- endif %}"
)

PLAIN_ROLES = (
    "{%- for m in messages %}{{- m['role'] | capitalize + ': ' + m['content'] }}"
    "{{- eos_token + '\n' if m['role'] == 'assistant' else '\n\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}"
)
"""A model without chat tokens; the answer's leading space belongs to the answer."""

HARMONY = (
    "{{- '<|start|>system<|message|>You are a helper.\nKnowledge ends: 2024-06\nCurrent date: ' }}"
    "{{- strftime_now('%Y-%m-%d') + '\n\nReasoning: low\n\n# Channels: analysis, final.<|end|>' }}"
    "{%- for m in messages %}"
    "{%- if m['role'] == 'system' %}{{- '<|start|>developer<|message|># Rules\n\n' + m['content'] + '<|end|>' }}"
    "{%- elif m['role'] == 'user' %}{{- '<|start|>user<|message|>' + m['content'] + '<|end|>' }}"
    "{%- elif loop.last %}{{- '<|start|>assistant<|channel|>final<|message|>' + m['content'] + '<|return|>' }}"
    "{%- else %}{{- '<|start|>assistant<|channel|>final<|message|>' + m['content'] + '<|end|>' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{%- endif %}"
)
"""The prompt ends before the channel, which the model writes itself."""

DEEPSEEK = (
    "{{- bos_token }}{%- for m in messages %}"
    "{%- if m['role'] == 'system' %}{{- m['content'] }}"
    "{%- elif m['role'] == 'user' %}{{- '<｜User｜>' + m['content'] }}"
    "{%- else %}{{- '<｜Assistant｜>' + m['content'] + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<｜Assistant｜>' }}{%- endif %}"
)

JAMBA = (
    "{{- bos_token }}{%- for m in messages %}{%- if m['role'] == 'assistant' %}"
    "{{- '<|bom|><|assistant|> ' + m['content'] + '<|eom|>' }}{%- else %}"
    "{{- '<|bom|><|' + m['role'] + '|> ' + m['content'] + '<|eom|>' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|bom|><|assistant|>' }}{%- endif %}"
)
"""The space after the role belongs to the answer."""

MINIMAX = (
    "{%- for m in messages %}{%- set name = {'system': 'system', 'user': 'user', 'assistant': 'ai'}[m['role']] %}"
    "{{- '<beginning_of_sentence>' + name + ' name=' + m['role'] + '\n' + m['content'] + '<end_of_sentence>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<beginning_of_sentence>ai name=assistant\n' }}{%- endif %}"
)
