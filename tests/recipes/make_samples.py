#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes samples/: the same invented answers in the three shapes in which servers return logprobs."""
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent

# name: [(tokens with logprobs at one position, the sampled one first)]
ANSWERS = {
    "answer": [
        {"The": -0.0103, "Australia": -5.1, "Sydney": -6.2},
        {" capital": -0.0021, " largest": -6.9, " city": -8.0},
        {" of": -0.0004, " city": -8.2, " is": -9.9},
        {" Australia": -0.0009, " the": -7.4, " Austria": -9.1},
        {" is": -0.0117, ",": -5.0, " was": -6.6},
        {" Sydney": -1.204, " Canberra": -0.371, " Melbourne": -5.3},
        {".": -0.035, "!": -4.1, ",": -4.6},
    ],
    "sure": [
        {"Canberra": -0.0002, "Sydney": -9.1, "The": -10.2},
        {".": -0.011, "!": -4.7, ",": -7.9},
    ],
    "yesno": [
        {"Yes": -0.4161, "No": -1.3863, " yes": -3.5066, "YES": -5.116, "Well": -5.5215, " no": -6.2146},
        {".": -0.21, ",": -1.9, "!": -4.4},
    ],
    "choice": [
        {"Answer": -0.02, "The": -4.2, "B": -6.0},
        {":": -0.01, " is": -5.1, " B": -7.7},
        {" B": -0.3567, " A": -1.6094, " D": -3.2189, " C": -3.9120, "B": -6.9},
    ],
}


def chat(positions, missing=None):
    def entry(token, logprob):
        return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

    content = []
    for top in positions:
        token, logprob = next(iter(top.items()))
        likely = sorted(top.items(), key=lambda pair: -pair[1])
        alternatives = [entry(t, p) for t, p in likely] + ([entry(missing, -9999.0)] if missing else [])
        content.append({**entry(token, logprob), "top_logprobs": alternatives})
    text = "".join(next(iter(top)) for top in positions)
    return {
        "id": "chatcmpl-sample", "object": "chat.completion", "created": 1700000000, "model": "sample",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": None},
                     "logprobs": {"content": content, "refusal": None}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": len(positions), "total_tokens": 2 + len(positions)},
    }


def completions(positions):
    tokens = [next(iter(top)) for top in positions]
    offsets = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    return {
        "id": "cmpl-sample", "object": "text_completion", "created": 1700000000, "model": "sample",
        "choices": [{"index": 0, "text": "".join(tokens), "finish_reason": "stop",
                     "logprobs": {"tokens": tokens, "token_logprobs": [next(iter(top.values())) for top in positions],
                                  "top_logprobs": positions, "text_offset": offsets}}],
    }


def vllm(positions):
    response = chat(positions, missing="<|masked|>")
    response["choices"][0]["stop_reason"] = None
    response["prompt_logprobs"] = [
        None,
        {"3923": {"logprob": -2.81, "rank": 7, "decoded_token": "What"},
         "791": {"logprob": -1.2, "rank": 1, "decoded_token": "The"}},
    ]
    return response


def main():
    for name, positions in ANSWERS.items():
        for shape in (chat, completions, vllm):
            path = HERE / "samples" / shape.__name__ / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(shape(positions), indent=1) + "\n")


main()
