"""Messages of every kind: valid JSON within the limits, text that is not, and bytes that are not even text."""

from __future__ import annotations

import json

from ssmd.store.json_limits import MAX_DEPTH, MAX_INTEGER_DIGITS

LEVELS = [[f"0.{cents:02d}00", "10.00"] for cents in range(1, 100)]

VALID = {
    "object": b'{"type":"ticker","sid":1,"msg":{"market_ticker":"KXRAIN-26OCT01-T2.5"}}',
    "two keys of one name": b'{"a":1,"a":2}',
    "empty object": b"{}",
    "array": b'[1,-2.5e+10,true,false,null,"x"]',
    "string": b'"text"',
    "string of the fourth key": b'",\\"encoding\\":\\"text\\""',
    "string of a whole envelope": b'"{\\"ts\\":\\"1\\",\\"feed\\":\\"x\\",\\"data\\":{},\\"encoding\\":\\"text\\"}"',
    "object of the fourth key": b'{"data":"x","encoding":"text"}',
    "number": b"-0.5E-3",
    "number beyond a float": b"[1e999,-1e999]",
    "escapes": b'{"a":"\\u0000\\u2028\\ud83d\\ude00\\n\\r\\"\\\\"}',
    "delete character": b'"\x7f"',
    "U+2028 as it is": '{"a":"one\u2028two\u2029three\u0085"}'.encode(),
    "beyond the BMP": '{"name":"Zürich 🌧"}'.encode(),
    "noncharacters": '"\uffff\ufdd0"'.encode(),
    "many levels": json.dumps({"yes": LEVELS, "no": LEVELS}).encode(),
    "as deep as allowed": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    "objects as deep as allowed": b'{"a":' * (MAX_DEPTH // 2) + b"1" + b"}" * (MAX_DEPTH // 2),
    "empty object as deep as allowed": b"[" * (MAX_DEPTH - 2) + b"{}" + b"]" * (MAX_DEPTH - 2),
    "deep in turns": b'{"a":[' * (MAX_DEPTH // 3) + b"]}" * (MAX_DEPTH // 3),
    "wide and not deep": b"[" + b'{"a":[]},' * MAX_DEPTH + b"{}]",
    "brackets in a string": b'["\\"' + b"[{" * MAX_DEPTH + b'\\\\"]',
    "longest integer": b"[-" + b"9" * MAX_INTEGER_DIGITS + b"]",
    "long fraction": b"0." + b"3" * (MAX_INTEGER_DIGITS + 700),
    "digits in a string": b'"' + b"7" * (MAX_INTEGER_DIGITS + 700) + b'"',
}

NOT_JSON = {
    "forged envelope": b'{}, "feed":"other","data":{}',
    "forged encoding": b'"aGk=","encoding":"base64"',
    "forged line": b'{}}\n{"ts":"2026-01-01T00:00:00.000000Z","feed":"other","data":{}',
    "two documents": b"{}{}",
    "two documents on two lines": b"{}\n{}",
    "something behind": b"{} x",
    "empty": b"",
    "blank": b" \n",
    "vertical tab behind": b"{}\x0b",
    "BOM": b"\xef\xbb\xbf{}",
    "NUL": b"\0",
    "NUL behind": b"{}\0",
    "NUL in a string": b'"\0"',
    "newline in a string": b'"a\nb"',
    "tab in a string": b'"a\tb"',
    "NaN": b'{"price":NaN}',
    "Infinity": b'{"price":-Infinity}',
    "leading zero": b"[01]",
    "plus": b"[+1]",
    "bare point": b"[1.]",
    "comma too many": b"[1,]",
    "comment": b"{} // none",
    "single quotes": b"{'a':1}",
    "unknown escape": b'"\\x41"',
    "cut escape": b'"\\u12"',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone low surrogate in a key": b'{"\\udc00":1}',
    "cut off": b'{"type":"tra',
    "text": "Bad gateway\u2028\u0085".encode(),
    "quotes and backslashes": b'\\"\\\\',
    "one level too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "one object too deep": b'{"a":' * (MAX_DEPTH // 2 + 1) + b"1" + b"}" * (MAX_DEPTH // 2 + 1),
    "empty object too deep": b"[" * (MAX_DEPTH - 1) + b"{}" + b"]" * (MAX_DEPTH - 1),
    "too deep after shallow": b"[[],[]," + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"]",
    "100,000 brackets": b"[" * 100_000 + b"]" * 100_000,
    "100,000 open brackets": b'{"a":[' * 50_000,
    "integer too long": b"9" * (MAX_INTEGER_DIGITS + 1),
    "integer far too long": b'{"seq":-' + b"9" * (MAX_INTEGER_DIGITS + 700) + b"}",
}

NOT_TEXT = {
    "bad UTF-8": b"\xff\xfe\x00",
    "bad UTF-8 in a string": b'{"a":"\xff"}',
    "cut-off character": b'{"a":"\xe2\x82"}',
    "overlong character": b'"\xc0\xaf"',
    "encoded surrogate": b'"\xed\xa0\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
}

EVERYTHING = {**VALID, **NOT_JSON, **NOT_TEXT}
