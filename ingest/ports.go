package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// Ledger is what ingest needs of the ledger. Every call may be repeated. An error that is none of those below means that the
// outcome is not known, or that the ledger cannot be reached: ingest asks [Ledger.Manifest] what happened and tries again.
type Ledger interface {
	// Lane returns the state of a lane; the zero Lane (but for its name) if nobody has claimed it yet.
	Lane(ctx context.Context, organisation string, lane uint32) (provenance.Lane, error)
	// ClaimLane makes instance the owner if the lane's fence still is the one given, and returns the lane with its new fence
	// once that is in a block. Otherwise ErrConflict.
	ClaimLane(ctx context.Context, organisation string, lane uint32, instance string, fence uint64) (provenance.Lane, error)
	// CommitBatch returns nil only when the transaction is valid in a block; the manifest may be nil, it is then read.
	// It may return ErrConflict, ErrStaleFence, ErrAlreadyCommitted and ErrRejected. The argument must not be changed or kept.
	CommitBatch(ctx context.Context, argument []byte) (*provenance.Manifest, error)
	// Manifest returns what the ledger holds of a batch, nil if nothing.
	Manifest(ctx context.Context, organisation string, lane uint32, number uint64) (*provenance.Manifest, error)
	// Device returns a device record, nil if the ledger has none.
	Device(ctx context.Context, id string) (*provenance.Device, error)
}

// What a Ledger may say, as wrapped errors.
var (
	ErrConflict         = errors.New("the ledger has changed meanwhile")                   // propose again
	ErrStaleFence       = errors.New("the lane has another owner")                         // stop the lane
	ErrAlreadyCommitted = errors.New("a batch of this number was committed before")        // perhaps ours
	ErrRejected         = errors.New("the contract refuses the batch whatever is retried") // find the frame it is about
)

// Devices is the registry fed from blocks. It may lag behind the ledger; what it does not know is looked up there.
// The records must not be changed: a changed device is a new record.
type Devices interface {
	Device(id string) (*provenance.Device, bool)
}

// Heads tells of frames recorded already, as far as blocks were followed. Optional: the contract decides in any case.
type Heads interface {
	Recorded(id provenance.FrameID) bool
}

// Clock tells the time of receipt.
type Clock interface{ Now() time.Time }

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }
