// Command c2sp reads what fuqi wrote with log tools that fuqi had no part in: Go's sumdb/note and sumdb/tlog,
// transparency-dev's formats and merkle, and filippo.io/torchwood. It prints one line for each agreement and exits 1 at
// the first disagreement. Each acceptance stands beside a refusal, so that a tool that accepts anything is noticed.
//
//	c2sp proof FILE.tlog-proof KEYS            KEYS: the log's verifier key, then witnesses' keys, one a line
//	c2sp tiles FOLDER KEYS OLD                 OLD: size of an earlier tree of the same log
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	fmtlog "github.com/transparency-dev/formats/log"
	fmtnote "github.com/transparency-dev/formats/note"
	fmtproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "disagrees:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "proof":
		return checkProof(args[1], args[2])
	case len(args) == 4 && args[0] == "tiles":
		old, err := strconv.ParseInt(args[3], 10, 64)
		if err != nil {
			return err
		}
		return checkTiles(args[1], args[2], old)
	}
	return errors.New("usage: c2sp proof FILE KEYS | c2sp tiles FOLDER KEYS OLD")
}

// agree prints what a tool said.
func agree(tool, what string) { fmt.Printf("%s: %s\n", tool, what) }

// must turns a wrong acceptance or refusal into an error.
func must(ok bool, tool, what string) error {
	if !ok {
		return fmt.Errorf("%s: %s", tool, what)
	}
	agree(tool, what)
	return nil
}

// flipped is data with one bit of the byte in its middle changed.
func flipped(data []byte) []byte {
	changed := bytes.Clone(data)
	changed[len(changed)/2] ^= 1
	return changed
}

func readKeys(path string) (logKey string, witnesses []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[0], lines[1:], nil
}

func checkProof(file, keys string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	logKey, witnesses, err := readKeys(keys)
	if err != nil {
		return err
	}
	if err := torchwoodProof(text, logKey, witnesses); err != nil {
		return err
	}
	return formatsProof(text, logKey, witnesses)
}

func torchwoodProof(text []byte, logKey string, witnesses []string) error {
	entry, err := torchwood.ProofExtraData(text)
	if err != nil {
		return fmt.Errorf("torchwood: %w", err)
	}
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return fmt.Errorf("sumdb/note: %w", err)
	}
	var cosigners []torchwood.Policy
	for _, key := range witnesses {
		cosigner, err := torchwood.NewCosignatureVerifier(key)
		if err != nil {
			return fmt.Errorf("torchwood: %w", err)
		}
		cosigners = append(cosigners, torchwood.SingleVerifierPolicy(cosigner))
	}
	policy := func(k int) torchwood.Policy {
		return torchwood.ThresholdPolicy(3, torchwood.OriginPolicy(verifier.Name()),
			torchwood.SingleVerifierPolicy(verifier), torchwood.ThresholdPolicy(k, cosigners...))
	}
	leaf := tlog.RecordHash(entry)
	if err := torchwood.VerifyProof(policy(2), leaf, text); err != nil {
		return fmt.Errorf("torchwood: %w", err)
	}
	agree("torchwood", "the tlog-proof verifies under the log and 2 of 3 witnesses")
	refusals := []struct {
		what string
		err  error
	}{
		{"3 of 3 witnesses are not there", torchwood.VerifyProof(policy(3), leaf, text)},
		{"another entry is refused", torchwood.VerifyProof(policy(2), tlog.RecordHash(flipped(entry)), text)},
		{"another index is refused", torchwood.VerifyProof(policy(2), leaf,
			bytes.Replace(text, []byte("\nindex 4\n"), []byte("\nindex 5\n"), 1))},
	}
	for _, refusal := range refusals {
		if err := must(refusal.err != nil, "torchwood", refusal.what); err != nil {
			return err
		}
	}
	return nil
}

func formatsProof(text []byte, logKey string, witnesses []string) error {
	var read fmtproof.TLogProof
	if err := read.Unmarshal(text); err != nil {
		return fmt.Errorf("formats/proof: %w", err)
	}
	if err := must(bytes.Equal(read.Marshal(), text), "formats/proof", "the tlog-proof is written byte for byte the same"); err != nil {
		return err
	}
	verifier, err := fmtnote.NewVerifier(logKey)
	if err != nil {
		return fmt.Errorf("formats/note: %w", err)
	}
	var cosigners []note.Verifier
	for _, key := range witnesses {
		cosigner, err := fmtnote.NewVerifierForCosignatureV1(key)
		if err != nil {
			return fmt.Errorf("formats/note: %w", err)
		}
		cosigners = append(cosigners, cosigner)
	}
	checkpoint, _, opened, err := fmtlog.ParseCheckpoint(read.Checkpoint, verifier.Name(), verifier, cosigners...)
	if err != nil {
		return fmt.Errorf("formats/log: %w", err)
	}
	if err := must(len(opened.Sigs) == 3, "formats/log", "the checkpoint carries the log's signature and two cosignatures"); err != nil {
		return err
	}
	for _, sig := range opened.Sigs[1:] {
		at, err := fmtnote.CoSigV1Timestamp(sig)
		if err != nil {
			return fmt.Errorf("formats/note: %w", err)
		}
		if err := must(at.Unix() == 1795412200, "formats/note", "the time of a cosignature is read: "+at.UTC().String()); err != nil {
			return err
		}
	}
	changed := bytes.Replace(read.Checkpoint, []byte("\n11\n"), []byte("\n12\n"), 1)
	_, _, _, err = fmtlog.ParseCheckpoint(changed, verifier.Name(), verifier, cosigners...)
	if err := must(err != nil, "formats/log", "a changed checkpoint is refused"); err != nil {
		return err
	}
	path := make([][]byte, len(read.Hashes))
	for i := range read.Hashes {
		path[i] = read.Hashes[i][:]
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(read.ExtraData)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, read.Index, checkpoint.Size, leaf, path, checkpoint.Hash); err != nil {
		return fmt.Errorf("transparency-dev/merkle: %w", err)
	}
	agree("transparency-dev/merkle", "the entry is included")
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, read.Index, checkpoint.Size, flipped(leaf), path, checkpoint.Hash)
	return must(err != nil, "transparency-dev/merkle", "another leaf is refused")
}

// tileFolder reads tiles from a folder, as sumdb/tlog asks for them.
type tileFolder struct{ base string }

func (t tileFolder) Height() int                     { return 8 }
func (t tileFolder) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tileFolder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(t.base, torchwood.TilePath(tile)))
		if err != nil {
			return nil, err
		}
		read = append(read, data)
	}
	return read, nil
}

func checkTiles(folder, keys string, old int64) error {
	logKey, _, err := readKeys(keys)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return fmt.Errorf("sumdb/note: %w", err)
	}
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		return fmt.Errorf("sumdb/note: %w", err)
	}
	agree("sumdb/note", "the checkpoint is signed by the log")
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(verifier.Name()), torchwood.SingleVerifierPolicy(verifier))
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return fmt.Errorf("torchwood: %w", err)
	}
	if err := everyEntry(folder, checkpoint.Tree); err != nil {
		return err
	}
	return everyProof(folder, checkpoint.Tree, old)
}

func everyEntry(folder string, tree tlog.Tree) error {
	files, err := torchwood.NewTileFS(os.DirFS(folder))
	if err != nil {
		return err
	}
	client, err := torchwood.NewClient(files)
	if err != nil {
		return err
	}
	count := int64(0)
	for index, entry := range client.AllEntries(context.Background(), tree, 0) {
		if index != count || !bytes.HasPrefix(entry, []byte(`{"actor":`)) {
			return fmt.Errorf("torchwood: entry %d is not what was expected", index)
		}
		count++
	}
	if err := client.Err(); err != nil {
		return fmt.Errorf("torchwood: %w", err)
	}
	if err := must(count == tree.N, "torchwood", fmt.Sprintf("all %d entries are read from the tiles and proven", count)); err != nil {
		return err
	}
	wrong := tree
	wrong.Hash = tlog.Hash(sha256.Sum256([]byte("another tree")))
	fresh, err := torchwood.NewClient(files)
	if err != nil {
		return err
	}
	for range fresh.AllEntries(context.Background(), wrong, 0) {
		return errors.New("torchwood: an entry is accepted under another root")
	}
	return must(fresh.Err() != nil, "torchwood", "the tiles are refused under another root")
}

func everyProof(folder string, tree tlog.Tree, old int64) error {
	reader := tlog.TileHashReader(tree, tileFolder{folder})
	for _, index := range []int64{0, 1, 255, 256, tree.N / 2, tree.N - 1} {
		path, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return fmt.Errorf("sumdb/tlog: %w", err)
		}
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return fmt.Errorf("sumdb/tlog: %w", err)
		}
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, hashes[0]); err != nil {
			return fmt.Errorf("sumdb/tlog: %w", err)
		}
	}
	agree("sumdb/tlog", "entries are proven from the tiles")
	earlier, err := tlog.TreeHash(old, reader)
	if err != nil {
		return fmt.Errorf("sumdb/tlog: %w", err)
	}
	path, err := tlog.ProveTree(tree.N, old, reader)
	if err != nil {
		return fmt.Errorf("sumdb/tlog: %w", err)
	}
	if err := tlog.CheckTree(path, tree.N, tree.Hash, old, earlier); err != nil {
		return fmt.Errorf("sumdb/tlog: %w", err)
	}
	agree("sumdb/tlog", "the tree extends the earlier one of root "+earlier.String())
	earlier[0] ^= 1
	err = tlog.CheckTree(path, tree.N, tree.Hash, old, earlier)
	return must(err != nil, "sumdb/tlog", "another earlier root is refused")
}
