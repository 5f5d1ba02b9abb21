"""Checks proofs in the format of C2SP tlog-proof with nothing but Python's own library: index, path and root.

python3 tlog_proof.py < proofs.json    (a list of texts; prints what is wrong, and how many were checked)
"""
import base64
import hashlib
import json
import re
import sys


def sha(data):
    return hashlib.sha256(data).digest()


def root_of(index, size, leaf, path):
    """RFC 6962, 2.1.1: by recursion from the root down, where RFC 9162 goes from the leaf up."""
    if size == 1:
        assert not path, 'too long'
        return leaf
    assert path, 'too short'
    split = 1
    while split * 2 < size:
        split *= 2
    if index < split:
        return sha(b'\x01' + root_of(index, split, leaf, path[:-1]) + path[-1])
    return sha(b'\x01' + path[-1] + root_of(index - split, size - split, leaf, path[:-1]))


def check(text):
    head, note = text.split('\n\n', 1)
    magic, extra, index, *path = head.split('\n')
    assert magic == 'c2sp.org/tlog-proof@v1'
    line = base64.b64decode(extra.split(' ')[1], validate=True).decode()
    origin, size, root, head_line, time_line = note.split('\n\n')[0].split('\n')
    entry = json.loads(line)
    # The hash of an entry is that of its line without the hash.
    bare, stated = re.fullmatch(r'(.*),"hash":"([0-9a-f]{64})"\}', line).groups()
    assert hashlib.sha256((bare + '}').encode()).hexdigest() == stated, 'hash'
    index = int(index.split(' ')[1])
    assert entry['seq'] == index and origin.endswith('/' + entry['writer']), 'place'
    leaf = sha(b'\x00' + bytes.fromhex(stated))
    hashes = [base64.b64decode(one, validate=True) for one in path]
    assert root_of(index, int(size), leaf, hashes) == base64.b64decode(root), 'root'


problems, proofs = [], json.load(sys.stdin)
for number, text in enumerate(proofs):
    try:
        check(text)
    except Exception as error:
        problems.append(f'{number}: {error!r}')
print(json.dumps({'checked': len(proofs), 'problems': problems}))
