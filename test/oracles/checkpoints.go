// Checks checkpoints and proofs with the reference implementation of signed notes and transparent logs,
// golang.org/x/mod/sumdb/{note,tlog}, and answers what that makes of the same entries.
//
// GO111MODULE=off GOPATH=/usr/share/gocode go run checkpoints.go < input.json
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	SigningKey  string       `json:"signingKey"`
	PublicKey   string       `json:"publicKey"`
	Text        string       `json:"text"`
	Signed      string       `json:"signed"`
	Notes       []string     `json:"notes"`
	Leaves      []string     `json:"leaves"`
	Inclusion   [][][]string `json:"inclusion"`
	Consistency [][][]string `json:"consistency"`
}

type output struct {
	Problems    []string     `json:"problems"`
	Checked     int          `json:"checked"`
	Signed      string       `json:"signed"`
	Roots       []string     `json:"roots"`
	Inclusion   [][][]string `json:"inclusion"`
	Consistency [][][]string `json:"consistency"`
}

type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = m[index]
	}
	return out, nil
}

func main() {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		panic(err)
	}
	out := output{Problems: []string{}}
	complain := func(format string, args ...interface{}) {
		out.Problems = append(out.Problems, fmt.Sprintf(format, args...))
	}

	var stored memory
	var leaves []tlog.Hash
	var roots []tlog.Hash
	for n, text := range in.Leaves {
		data, err := hex.DecodeString(text)
		if err != nil {
			panic(err)
		}
		hashes, err := tlog.StoredHashes(int64(n), data, stored)
		if err != nil {
			panic(err)
		}
		stored = append(stored, hashes...)
		leaves = append(leaves, tlog.RecordHash(data))
		root, err := tlog.TreeHash(int64(n+1), stored)
		if err != nil {
			panic(err)
		}
		roots = append(roots, root)
		out.Roots = append(out.Roots, root.String())
	}

	for n, proofs := range in.Inclusion {
		var own [][]string
		size := int64(n + 1)
		for index, path := range proofs {
			if err := tlog.CheckRecord(hashesOf(path), size, roots[n], int64(index), leaves[index]); err != nil {
				complain("inclusion of %d in %d: %v", index, size, err)
			}
			out.Checked++
			proof, err := tlog.ProveRecord(size, int64(index), stored)
			if err != nil {
				panic(err)
			}
			own = append(own, textsOf(proof))
		}
		out.Inclusion = append(out.Inclusion, own)
	}
	for n, proofs := range in.Consistency {
		var own [][]string
		size := int64(n + 1)
		for m, path := range proofs {
			older := int64(m + 1)
			if err := tlog.CheckTree(hashesOf(path), size, roots[n], older, roots[m]); err != nil {
				complain("consistency of %d with %d: %v", size, older, err)
			}
			out.Checked++
			proof, err := tlog.ProveTree(size, older, stored)
			if err != nil {
				panic(err)
			}
			own = append(own, textsOf(proof))
		}
		out.Consistency = append(out.Consistency, own)
	}

	signer, err := note.NewSigner(in.SigningKey)
	if err != nil {
		complain("signing key: %v", err)
	} else if signed, err := note.Sign(&note.Note{Text: in.Text}, signer); err != nil {
		complain("signing: %v", err)
	} else {
		out.Signed = string(signed)
	}
	verifier, err := note.NewVerifier(in.PublicKey)
	if err != nil {
		complain("public key: %v", err)
	} else if opened, err := note.Open([]byte(in.Signed), note.VerifierList(verifier)); err != nil || opened.Text != in.Text {
		complain("note: %v", err)
	}

	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(in.PublicKey, "+", 3)[2])
	if err != nil {
		panic(err)
	}
	for _, text := range in.Notes {
		// The key of one writer's log is the same key under the log's own name.
		origin := text[:strings.Index(text, "\n")]
		vkey, err := note.NewEd25519VerifierKey(origin, raw[1:])
		if err != nil {
			panic(err)
		}
		own, err := note.NewVerifier(vkey)
		if err != nil {
			panic(err)
		}
		opened, err := note.Open([]byte(text), note.VerifierList(own))
		if err != nil {
			complain("checkpoint: %v", err)
			continue
		}
		lines := strings.Split(opened.Text, "\n")
		size, err := strconv.Atoi(lines[1])
		root, err2 := tlog.ParseHash(lines[2])
		if err != nil || err2 != nil || !bytes.Equal(root[:], roots[size-1][:]) {
			complain("the checkpoint of %d has another root", size)
		}
		out.Checked++
	}
	json.NewEncoder(os.Stdout).Encode(out)
}

func hashesOf(path []string) []tlog.Hash {
	hashes := []tlog.Hash{}
	for _, text := range path {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			panic(err)
		}
		hashes = append(hashes, hash)
	}
	return hashes
}

func textsOf(hashes []tlog.Hash) []string {
	texts := []string{}
	for _, hash := range hashes {
		texts = append(texts, hash.String())
	}
	return texts
}
