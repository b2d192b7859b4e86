"""Small changes to plans and envelopes, for those who break them."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace


def with_body(plan, part, field, value):
    """A plan whose deploy request has another value at one place."""
    requests = []
    for request in plan.requests:
        body = deepcopy(request.json)
        if request.step == "deploy":
            if field is None:
                body[part] = value
            else:
                body.setdefault(part, {})[field] = value
        requests.append(replace(request, json=body))
    return replace(plan, requests=tuple(requests))


def with_header(plan, name, value):
    """A plan whose requests have one more header."""
    requests = tuple(replace(each, headers={name: value}) for each in plan.requests)
    return replace(plan, requests=requests)


def with_row(plan, field, **changes):
    """A plan with another row for a field."""
    rows = tuple(replace(row, **changes) if row.field == field else row for row in plan.rows)
    return replace(plan, rows=rows)


def with_envelope(state, change):
    """A call's state whose envelope went through a function."""
    if state.output is None:
        return state
    return replace(state, output=json.dumps(change(json.loads(state.output))).encode())
