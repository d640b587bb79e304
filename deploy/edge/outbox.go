package edge

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/devices"
	"github.com/trailmark/trailmark/deploy/edge/sparkplug"
)

// outbox is what the edge has taken and Trailmark's broker has not acknowledged, on disk; and what it must remember beside: how far
// devices have come, which readings it has signed of late, what Sparkplug's edge nodes have announced.
type outbox struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS position (
	device TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, reserved INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reading ( -- frame is the sequence number of the frame that it is signed in, 0 while it waits
	device TEXT NOT NULL, time INTEGER NOT NULL, value INTEGER NOT NULL, received INTEGER NOT NULL, frame INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (device, time)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reading_waiting ON reading (device, time) WHERE frame = 0;
CREATE INDEX IF NOT EXISTS reading_signed ON reading (received) WHERE frame > 0;
CREATE TABLE IF NOT EXISTS frame (
	device TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, readings INTEGER NOT NULL, message BLOB NOT NULL,
	PRIMARY KEY (device, epoch, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node (name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS relative (digest BLOB PRIMARY KEY, received INTEGER NOT NULL) WITHOUT ROWID;
`

func openOutbox(ctx context.Context, dir string) (*outbox, error) {
	path, err := filepath.Abs(filepath.Join(dir, "outbox.db"))
	if err != nil {
		return nil, err
	}
	source := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "locking_mode(EXCLUSIVE)", "journal_mode(WAL)", "synchronous(FULL)", "auto_vacuum(INCREMENTAL)",
	}}.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("opening outbox: %w", err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("opening outbox %s (is another edge running on it?): %w", path, err), db.Close())
	}
	return &outbox{db}, nil
}

func (o *outbox) close() error { return o.db.Close() }

func (o *outbox) within(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // comes to nothing after a commit
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// adopt begins a device's numbers where its kit says, if that is beyond what the outbox knows: another outbox or program was
// there before.
func (o *outbox) adopt(ctx context.Context, device string, kit devices.Position) error {
	_, err := o.db.ExecContext(ctx, `INSERT INTO position (device, epoch, sequence, reserved) VALUES (?1, ?2, ?3, ?3)
		ON CONFLICT (device) DO UPDATE SET epoch = ?2, sequence = ?3, reserved = ?3 WHERE ?2 > epoch OR ?2 = epoch AND ?3 > reserved`,
		device, kit.Epoch, int64(kit.Sequence))
	return err
}

// taken is what a message came to.
type taken struct {
	readings []reading
	relative []byte // digest of a message whose times count from its receipt, else nil
	node     string // edge node that has changed, else empty
}

type reading struct {
	device string
	provenance.Reading
}

// stored tells what became of readings.
type stored struct {
	fresh      []string // the device of each
	duplicates int
	conflicts  []string // readings that contradict one taken before
}

// store takes what messages came to, all or nothing.
func (o *outbox) store(ctx context.Context, messages []taken, nodes *sparkplug.Nodes, now time.Time) ([]stored, error) {
	results := make([]stored, len(messages))
	err := o.within(ctx, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, `INSERT INTO reading (device, time, value, received) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for i, m := range messages {
			if m.relative != nil {
				if _, err := tx.ExecContext(ctx, `INSERT INTO relative VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET received = excluded.received`, m.relative, now.UnixMilli()); err != nil {
					return err
				}
			}
			if m.node != "" {
				if err := saveNode(ctx, tx, m.node, nodes.Node(m.node)); err != nil {
					return err
				}
			}
			for _, r := range m.readings {
				if err := keep(ctx, tx, insert, r, now, &results[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return results, err
}

func keep(ctx context.Context, tx *sql.Tx, insert *sql.Stmt, r reading, now time.Time, result *stored) error {
	done, err := insert.ExecContext(ctx, r.device, int64(r.Time), int64(r.Value), now.UnixMilli())
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		result.fresh = append(result.fresh, r.device)
		return err
	}
	var before int64
	if err := tx.QueryRowContext(ctx, `SELECT value FROM reading WHERE device = ? AND time = ?`, r.device, int64(r.Time)).Scan(&before); err != nil {
		return err
	}
	if before == int64(r.Value) {
		result.duplicates++
		return nil
	}
	result.conflicts = append(result.conflicts, fmt.Sprintf("device %s measured %s at %s before, and now %s for the same moment", r.device, provenance.Micro(before), r.Time, r.Value))
	return nil
}

func saveNode(ctx context.Context, tx *sql.Tx, name string, node *sparkplug.Node) error {
	if node == nil {
		_, err := tx.ExecContext(ctx, `DELETE FROM node WHERE name = ?`, name)
		return err
	}
	text, err := json.Marshal(node)
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO node VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state`, name, string(text))
	}
	return err
}

// nodes gives the edge nodes that were stored.
func (o *outbox) nodes(ctx context.Context) (*sparkplug.Nodes, error) {
	rows, err := o.db.QueryContext(ctx, `SELECT name, state FROM node`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]*sparkplug.Node{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		node := new(sparkplug.Node)
		if err := json.Unmarshal([]byte(text), node); err != nil {
			return nil, fmt.Errorf("reading what edge node %s announced: %w", name, err)
		}
		known[name] = node
	}
	return sparkplug.NewNodes(known), rows.Err()
}

// sawRelative tells whether a message with times relative to its receipt was taken.
func (o *outbox) sawRelative(ctx context.Context, digest []byte) (bool, error) {
	var one int
	err := o.db.QueryRowContext(ctx, `SELECT 1 FROM relative WHERE digest = ?`, digest).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// queue is what waits of a device.
type queue struct {
	device string
	count  int
	since  time.Time // receipt of the oldest
}

// waiting lists the devices with readings that are not signed.
func (o *outbox) waiting(ctx context.Context) ([]queue, error) {
	rows, err := o.db.QueryContext(ctx, `SELECT device, count(*), min(received) FROM reading WHERE frame = 0 GROUP BY device`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []queue
	for rows.Next() {
		var q queue
		var since int64
		if err := rows.Scan(&q.device, &q.count, &since); err != nil {
			return nil, err
		}
		q.since = time.UnixMilli(since)
		list = append(list, q)
	}
	return list, rows.Err()
}

// pending lists the devices with frames that are not acknowledged, and how many readings those hold.
func (o *outbox) pending(ctx context.Context) (byDevice map[string]int, err error) {
	rows, err := o.db.QueryContext(ctx, `SELECT device, sum(readings) FROM frame GROUP BY device`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byDevice = map[string]int{}
	for rows.Next() {
		var device string
		var readings int
		if err := rows.Scan(&device, &readings); err != nil {
			return nil, err
		}
		byDevice[device] = readings
	}
	return byDevice, rows.Err()
}

// reserve is how many sequence numbers are taken from the kit at a time.
const reserve = 256

// sign makes one frame of a device's oldest readings, at most so many, and returns how many it took.
func (o *outbox) sign(ctx context.Context, kit *devices.Kit, most int, now time.Time) (signed int, err error) {
	err = o.within(ctx, func(tx *sql.Tx) error {
		pack := evidence.Pack{Device: kit.ID, Unit: kit.Unit}
		if pack.Readings, err = oldest(ctx, tx, kit.ID, most); err != nil || len(pack.Readings) == 0 {
			return err
		}
		var epoch uint32
		var sequence, reserved int64
		if err := tx.QueryRowContext(ctx, `SELECT epoch, sequence, reserved FROM position WHERE device = ?`, kit.ID).Scan(&epoch, &sequence, &reserved); err != nil {
			return fmt.Errorf("reading the position of %s: %w", kit.ID, err)
		}
		sequence++
		if sequence > reserved {
			reserved = sequence + reserve - 1
			if err := kit.SavePosition(devices.Position{Epoch: epoch, Sequence: uint64(reserved)}); err != nil {
				return fmt.Errorf("reserving numbers of %s: %w", kit.ID, err)
			}
		}
		message, err := evidence.SignFrame(kit.Signer, epoch, uint64(sequence), &pack, provenance.TimeOf(now))
		if err != nil {
			return err
		}
		signed = len(pack.Readings)
		last := pack.Readings[signed-1].Time
		if _, err := tx.ExecContext(ctx, `UPDATE reading SET frame = ? WHERE device = ? AND frame = 0 AND time <= ?`, sequence, kit.ID, int64(last)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO frame VALUES (?, ?, ?, ?, ?)`, kit.ID, epoch, sequence, signed, message); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE position SET sequence = ?, reserved = ? WHERE device = ?`, sequence, reserved, kit.ID)
		return err
	})
	if err != nil {
		return 0, err
	}
	return signed, nil
}

// oldest gives a device's oldest waiting readings that fit one frame.
func oldest(ctx context.Context, tx *sql.Tx, device string, most int) ([]provenance.Reading, error) {
	rows, err := tx.QueryContext(ctx, `SELECT time, value FROM reading WHERE device = ? AND frame = 0 ORDER BY time LIMIT ?`, device, most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []provenance.Reading
	for rows.Next() {
		var r provenance.Reading
		if err := rows.Scan(&r.Time, &r.Value); err != nil {
			return nil, err
		}
		if len(list) > 0 && r.Time-list[0].Time > provenance.MaxFrameSpan {
			break
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// signedFrame is one that waits to be acknowledged.
type signedFrame struct {
	epoch, sequence int64
	readings        int
	message         []byte
}

// unsent gives a device's oldest frames, in order.
func (o *outbox) unsent(ctx context.Context, device string, most int) ([]signedFrame, error) {
	rows, err := o.db.QueryContext(ctx, `SELECT epoch, sequence, readings, message FROM frame WHERE device = ? ORDER BY epoch, sequence LIMIT ?`, device, most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []signedFrame
	for rows.Next() {
		var f signedFrame
		if err := rows.Scan(&f.epoch, &f.sequence, &f.readings, &f.message); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, rows.Err()
}

// sent drops a device's frames up to one that was acknowledged.
func (o *outbox) sent(ctx context.Context, device string, last signedFrame) error {
	_, err := o.db.ExecContext(ctx, `DELETE FROM frame WHERE device = ? AND (epoch < ? OR epoch = ? AND sequence <= ?)`, device, last.epoch, last.epoch, last.sequence)
	return err
}

// forget drops what was signed before a moment, and gives the room back.
func (o *outbox) forget(ctx context.Context, before time.Time) error {
	for _, statement := range []string{`DELETE FROM reading WHERE frame > 0 AND received < ?`, `DELETE FROM relative WHERE received < ?`} {
		if _, err := o.db.ExecContext(ctx, statement, before.UnixMilli()); err != nil {
			return err
		}
	}
	_, err := o.db.ExecContext(ctx, `PRAGMA incremental_vacuum(1024)`)
	return err
}
