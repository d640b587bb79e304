package evidence

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// LogLeaf is one valid transaction in the log of a channel.
type LogLeaf struct {
	_             struct{} `cbor:",toarray"`
	Channel       string
	Block         uint64
	Transaction   uint64 // index in the block
	TransactionID []byte // 32 bytes
	Digest        provenance.Hash
}

// Encode writes the leaf's bytes.
func (l LogLeaf) Encode() []byte { return mustMarshal(l) }

// DecodeLogLeaf reads what Encode wrote.
func DecodeLogLeaf(leaf []byte) (LogLeaf, error) {
	var l LogLeaf
	err := Unmarshal(leaf, &l)
	if err == nil && len(l.TransactionID) != 32 {
		err = fmt.Errorf("transaction id of %d bytes, want 32", len(l.TransactionID))
	}
	return l, err
}

// LogOrigin names the log of a channel in its checkpoints.
func LogOrigin(channel string) string { return "trailmark/" + channel }

// SignCheckpoint writes a C2SP tlog-checkpoint as a signed note.
func SignCheckpoint(signer note.Signer, channel string, size uint64, root provenance.Hash) (string, error) {
	signed, err := note.Sign(&note.Note{Text: checkpointText(channel, size, root)}, signer)
	return string(signed), err
}

func checkpointText(channel string, size uint64, root provenance.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", LogOrigin(channel), size, base64.StdEncoding.EncodeToString(root[:]))
}

// CheckpointSigner gives the name of the key that a checkpoint says it is signed with, without checking the signature.
func CheckpointSigner(signed string) (string, error) {
	_, line, found := strings.Cut(signed, "\n\n— ")
	name, _, found2 := strings.Cut(line, " ")
	if !found || !found2 {
		return "", fmt.Errorf("the checkpoint has no signature line")
	}
	return name, nil
}

// OpenCheckpoint verifies a checkpoint of the channel's log. It has one form: the text that SignCheckpoint writes, with the one
// signature of that key.
func OpenCheckpoint(signed string, verifier note.Verifier, channel string) (size uint64, root provenance.Hash, err error) {
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return 0, root, fmt.Errorf("opening checkpoint: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 {
		return 0, root, fmt.Errorf("the checkpoint has %d lines, want 3", len(lines)-1)
	}
	size, err = strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return 0, root, fmt.Errorf("the checkpoint's size: %w", err)
	}
	decoded, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(decoded) != len(root) {
		return 0, root, fmt.Errorf("the checkpoint's root is not a hash in base64")
	}
	copy(root[:], decoded)
	if opened.Text != checkpointText(channel, size, root) {
		return 0, root, fmt.Errorf("the checkpoint is not one of log %q in its one form", LogOrigin(channel))
	}
	if len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 0 ||
		signed != opened.Text+"\n— "+opened.Sigs[0].Name+" "+opened.Sigs[0].Base64+"\n" || !strictBase64(opened.Sigs[0].Base64) {
		return 0, root, fmt.Errorf("the checkpoint does not carry exactly one signature, in its one form")
	}
	return size, root, nil
}

func strictBase64(s string) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil
}
