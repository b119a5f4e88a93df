// Merkle proofs by two implementations that are not ours, golang.org/x/mod/sumdb/tlog (the Go checksum database) and
// github.com/transparency-dev/merkle (Trillian, Tessera), for tests/property/test_merkle_rfc9162_vectors.py.
//
//	go run .           prints the golden vectors; both must agree on every byte
//	go run . -verify   reads one proof a line (JSON), prints what each says of it: "true true", "false false" ...
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

const small = 64

type claim struct {
	Kind    string   `json:"kind"`
	Leaf    string   `json:"leaf,omitempty"`
	Index   uint64   `json:"index"`
	OldSize uint64   `json:"old_size"`
	OldRoot string   `json:"old_root,omitempty"`
	Size    uint64   `json:"size"`
	Root    string   `json:"root"`
	Path    []string `json:"path"`
}

type vectors struct {
	Source      string   `json:"SOURCE"`
	Roots       []string `json:"roots"`
	Inclusion   []string `json:"inclusion_sha256"`
	Consistency []string `json:"consistency_sha256"`
	Large       []claim  `json:"large"`
}

// tree answers for the node (level, index) of a complete subtree.
type tree func(level int, index int64) tlog.Hash

func (t tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = t(tlog.SplitStoredHashIndex(index))
	}
	return hashes, nil
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func smallTree() tree {
	return func(level int, index int64) tlog.Hash {
		var node func(level int, index int64) tlog.Hash
		node = func(level int, index int64) tlog.Hash {
			if level == 0 {
				return tlog.RecordHash([]byte{byte(index)})
			}
			return tlog.NodeHash(node(level-1, 2*index), node(level-1, 2*index+1))
		}
		return node(level, index)
	}
}

func uniformTree() tree {
	levels := []tlog.Hash{tlog.RecordHash([]byte("fuqi test leaf"))}
	for len(levels) <= 53 {
		last := levels[len(levels)-1]
		levels = append(levels, tlog.NodeHash(last, last))
	}
	return func(level int, _ int64) tlog.Hash { return levels[level] }
}

// second is the same proof by the other library; nil path where it knows none.
func second(t tree, nodes proof.Nodes) [][]byte {
	hashes := make([][]byte, 0, len(nodes.IDs))
	for _, id := range nodes.IDs {
		hash := t(int(id.Level), int64(id.Index))
		hashes = append(hashes, hash[:])
	}
	return must(nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren))
}

func agreed(first []tlog.Hash, other [][]byte) []string {
	if len(first) != len(other) {
		must(0, fmt.Errorf("the libraries make paths of %d and %d steps", len(first), len(other)))
	}
	path := make([]string, len(first))
	for i, step := range first {
		if !bytes.Equal(step[:], other[i]) {
			must(0, fmt.Errorf("the libraries differ at step %d", i))
		}
		path[i] = hex.EncodeToString(step[:])
	}
	return path
}

func inclusion(t tree, index, size uint64) claim {
	first := must(tlog.ProveRecord(int64(size), int64(index), t))
	leaf := t(0, int64(index))
	return claim{
		Kind: "inclusion", Leaf: hex.EncodeToString(leaf[:]), Index: index, Size: size, Root: root(t, size),
		Path: agreed(first, second(t, must(proof.Inclusion(index, size)))),
	}
}

func consistency(t tree, old, size uint64) claim {
	first := must(tlog.ProveTree(int64(size), int64(old), t))
	return claim{
		Kind: "consistency", OldSize: old, OldRoot: root(t, old), Size: size, Root: root(t, size),
		Path: agreed(first, second(t, must(proof.Consistency(old, size)))),
	}
}

func root(t tree, size uint64) string {
	hash := must(tlog.TreeHash(int64(size), t))
	return hex.EncodeToString(hash[:])
}

// digest of every path of one size, in order: a byte of length and the steps.
func digest(claims []claim) string {
	sum := sha256.New()
	for _, made := range claims {
		sum.Write([]byte{byte(len(made.Path))})
		for _, step := range made.Path {
			sum.Write(must(hex.DecodeString(step)))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func golden() vectors {
	made := vectors{
		Source: "made by golang.org/x/mod v0.30.0 and github.com/transparency-dev/merkle v0.0.2, which agree: " +
			"scripts/merkle_go. Small trees: leaf i is the one byte i; entry s-1 of a list of digests is of size s. " +
			"Large trees: every leaf is \"fuqi test leaf\".",
		Roots: []string{hex.EncodeToString(rfc6962.DefaultHasher.EmptyRoot())},
	}
	t := smallTree()
	for size := uint64(1); size <= small; size++ {
		made.Roots = append(made.Roots, root(t, size))
		var included, grown []claim
		for i := uint64(0); i < size; i++ {
			included = append(included, inclusion(t, i, size))
			grown = append(grown, consistency(t, i+1, size))
		}
		made.Inclusion = append(made.Inclusion, digest(included))
		made.Consistency = append(made.Consistency, digest(grown))
	}
	u := uniformTree()
	for _, size := range []uint64{1_000_000, 1<<20 + 1, 1<<40 + 12_345, 1<<53 - 1} {
		for _, part := range []uint64{1, size / 3, size / 2, size - 1} {
			made.Large = append(made.Large, inclusion(u, part, size), consistency(u, part, size))
		}
	}
	return made
}

func verdicts(c claim) (bool, bool) {
	var tiles []tlog.Hash
	var raw [][]byte
	for _, step := range c.Path {
		bytes := must(hex.DecodeString(step))
		raw = append(raw, bytes)
		tiles = append(tiles, tlog.Hash(bytes))
	}
	newRoot := must(hex.DecodeString(c.Root))
	if c.Kind == "inclusion" {
		leaf := must(hex.DecodeString(c.Leaf))
		first := tlog.CheckRecord(tiles, int64(c.Size), tlog.Hash(newRoot), int64(c.Index), tlog.Hash(leaf))
		other := proof.VerifyInclusion(rfc6962.DefaultHasher, c.Index, c.Size, leaf, raw, newRoot)
		return first == nil, other == nil
	}
	oldRoot := must(hex.DecodeString(c.OldRoot))
	first := tlog.CheckTree(tiles, int64(c.Size), tlog.Hash(newRoot), int64(c.OldSize), tlog.Hash(oldRoot))
	other := proof.VerifyConsistency(rfc6962.DefaultHasher, c.OldSize, c.Size, raw, oldRoot, newRoot)
	return first == nil, other == nil
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "-verify" {
		lines := bufio.NewScanner(os.Stdin)
		lines.Buffer(make([]byte, 0, 1<<16), 1<<16)
		for lines.Scan() {
			var c claim
			must(0, json.Unmarshal(lines.Bytes(), &c))
			fmt.Println(verdicts(c))
		}
		must(0, lines.Err())
		return
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	out.SetEscapeHTML(false)
	must(0, out.Encode(golden()))
}
