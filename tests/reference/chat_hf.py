"""Conversations rendered by Transformers' apply_chat_template, for tests/golden/test_chat_golden.c.

    python tests/reference/chat_hf.py [OUT = tests/golden]

Writes chat_hf.json: the templates, as the families publish them (tool branches shortened to what renders without tools),
conversations, and per template and conversation: the text, the generation prompt behind it, the same with
enable_thinking=False, and the byte offsets of what the assistant said, found by the marks around turns.
"""
import itertools
import json
import re
import sys
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast


def chatml(default=None):
    system = ("{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n" + default +
              "<|im_end|>\\n' }}{% endif %}") if default else ""
    return ("{% for message in messages %}" + system + "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
            "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


QWEN25 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\n\n# Tools\n\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

QWEN3 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""

LLAMA3 = ("{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
          "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
          "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}")
LLAMA3_PROMPT = "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"

LLAMA31 = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
DATE
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- This block extracts the system message, so we can slot it into the right place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message + builtin tools #}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""
DATE_31 = r"""{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}"""
DATE_32 = r"""{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}"""

TEMPLATES = {
    "chatml": chatml(),
    "smollm2": chatml("You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    "qwen1.5": chatml("You are a helpful assistant"),
    "chatml-lines": chatml().replace("\\n", "\n"),
    "smollm2-lines": chatml("You are a helpful AI assistant named SmolLM, trained by Hugging Face").replace("\\n", "\n"),
    "qwen2": chatml("You are a helpful assistant."),
    "qwen2.5": QWEN25,
    "qwen3": QWEN3,
    "llama3-first": LLAMA3 + LLAMA3_PROMPT,
    "llama3": LLAMA3 + "{% if add_generation_prompt %}" + LLAMA3_PROMPT + "{% endif %}",
    "llama3.1": LLAMA31.replace("DATE", DATE_31),
    "llama3.2": LLAMA31.replace("DATE", DATE_32),
}

TEXTS = ["Hello", "  padded \n", "", "two\nlines\n\n", "<think>\nfirst, add\n</think>\n\nThe answer is 4.", "</think>only the end",
         "<think>a</think><think>b\n\n</think>\n\nc", "\u00a0\u3000\x1cspaces\u2003\t", "Ünïcödé 中文 👩‍👩‍👧",
         "<tool_response>\n42\n</tool_response>", "\n\nlead", "a <|im_end|> b"]
SHAPES = ["u", "ua", "sua", "su", "uaua", "suaua", "a", "aa", "s", "uau", "usua", "uaa", "suauaua", "auaa"]
ROLES = {"s": "system", "u": "user", "a": "assistant"}


def conversations():
    out, k = [], 0
    for shape, shift in itertools.product(SHAPES, range(5)):
        messages = []
        for i, letter in enumerate(shape):
            messages.append({"role": ROLES[letter], "content": TEXTS[(k * 5 + i * (shift + 1)) % len(TEXTS)]})
        out.append(messages)
        k += 1
    return out


TURNS = re.compile(r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)\n(?=<\|im_start\|>|\Z)"
                   r"|<\|start_header_id\|>assistant<\|end_header_id\|>\n\n(.*?<\|eot_id\|>)(?=<\|start_header_id\|>|\Z)", re.S)


def spans(text):
    for match in TURNS.finditer(text):
        for at in match.span(match.lastindex):
            yield len(text[:at].encode())


def render(t, messages, **more):
    return t.apply_chat_template(messages, tokenize=False, **more)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "golden")
    t = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<|begin_of_text|>")
    cases = conversations()
    out = {"bos": "<|begin_of_text|>", "date": "07 Mar 2025", "conversations": cases, "templates": []}
    for name, text in TEMPLATES.items():
        t.chat_template = text
        rows = []
        for messages in cases:
            more = {"date_string": out["date"]} if name == "llama3.2" else {}
            row = [render(t, messages, add_generation_prompt=flag, **more) for flag in (False, True)]
            row.append(render(t, messages, add_generation_prompt=True, enable_thinking=False, **more))
            # the prompt is a suffix of the text without it: store that alone
            assert row[1].startswith(row[0]) and row[2].startswith(row[0])
            rows.append([row[0], row[1][len(row[0]):], row[2][len(row[0]):], list(spans(row[0]))])
        out["templates"].append({"name": name, "text": text, "rows": rows})
    (folder / "chat_hf.json").write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
