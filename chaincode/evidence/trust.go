package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Trust is what a verifier pinned beforehand: the organisations' log keys, and how many of them must agree.
type Trust struct {
	Version       int                  `json:"version"`
	Channel       string               `json:"channel"`
	Quorum        int                  `json:"quorum"`
	Organisations []PinnedOrganisation `json:"organisations"`
}

// PinnedOrganisation is an organisation and the key its checkpoints are signed with.
type PinnedOrganisation struct {
	MSPID  string `json:"mspId"`
	Name   string `json:"name"`
	LogKey string `json:"logKey"` // note verifier key
}

// ParseTrust reads trust.json and checks it.
func ParseTrust(data []byte) (*Trust, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	t := new(Trust)
	if err := d.Decode(t); err != nil {
		return nil, fmt.Errorf("reading trust file: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("reading trust file: text after its end")
	}
	if t.Version != 1 || t.Channel == "" {
		return nil, fmt.Errorf("trust file: version %d for channel %q is not known; want version 1 and a channel", t.Version, t.Channel)
	}
	if t.Quorum < 1 || t.Quorum > len(t.Organisations) {
		return nil, fmt.Errorf("trust file: a quorum of %d among %d organisations cannot be", t.Quorum, len(t.Organisations))
	}
	_, err := t.verifiers()
	return t, err
}

func (t *Trust) verifiers() (map[string]note.Verifier, error) {
	verifiers := make(map[string]note.Verifier, len(t.Organisations))
	for _, o := range t.Organisations {
		if err := provenance.CheckIdentifier("organisation", o.MSPID); err != nil {
			return nil, err
		}
		v, err := note.NewVerifier(o.LogKey)
		if err != nil {
			return nil, fmt.Errorf("trust file: log key of %s: %w", o.MSPID, err)
		}
		if v.Name() != o.MSPID || verifiers[o.MSPID] != nil {
			return nil, fmt.Errorf("trust file: the log key of %s is named %s, or the organisation stands twice", o.MSPID, v.Name())
		}
		verifiers[o.MSPID] = v
	}
	return verifiers, nil
}
