package provenance

// Organisation is what the ledger knows of a member. State key o/{ID}.
type Organisation struct {
	ID      string `cbor:"1,keyasint" json:"id"`     // MSP identifier
	Name    string `cbor:"2,keyasint" json:"name"`   // for people
	LogKey  string `cbor:"3,keyasint" json:"logKey"` // note verifier key that its checkpoints are signed with
	Changed Time   `cbor:"4,keyasint" json:"changed"`
}

// Checkpoint is an organisation's signed statement about the log. State key c/{Organisation}/{Size}.
type Checkpoint struct {
	Organisation string `cbor:"1,keyasint" json:"organisation"`
	Size         uint64 `cbor:"2,keyasint" json:"size"`
	Root         Hash   `cbor:"3,keyasint" json:"root"`
	Note         string `cbor:"4,keyasint" json:"note"`
	Anchored     Time   `cbor:"5,keyasint" json:"anchored"`
}

// Contradiction holds checkpoints of one size with different roots. State key x/{Size}.
type Contradiction struct {
	Size  uint64   `cbor:"1,keyasint" json:"size"`
	Notes []string `cbor:"2,keyasint" json:"notes"`
	Found Time     `cbor:"3,keyasint" json:"found"`
}
