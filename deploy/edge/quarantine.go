package edge

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// quarantine keeps messages that could not be used, as JSON lines with the reason: quarantine.ndjson, and quarantine.old.ndjson
// which it becomes when it is full. It is for one goroutine.
type quarantine struct {
	path  string
	limit int64 // of both files together
	file  *os.File
	size  int64
}

// refused is a line of the quarantine.
type refused struct {
	Received  time.Time `json:"received"`
	Topic     string    `json:"topic"`
	Reason    string    `json:"reason"`
	Body      []byte    `json:"body"` // base64
	Truncated bool      `json:"truncated,omitempty"`
}

// maxKept is how much of a body is kept.
const maxKept = 64 << 10

func openQuarantine(dir string, limit int64) (*quarantine, error) {
	q := &quarantine{path: filepath.Join(dir, "quarantine.ndjson"), limit: limit}
	return q, q.open()
}

func (q *quarantine) open() error {
	file, err := os.OpenFile(q.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening quarantine: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return fmt.Errorf("opening quarantine: %w", err)
	}
	q.file, q.size = file, info.Size()
	return nil
}

// add makes entries durable.
func (q *quarantine) add(entries []refused) error {
	var text []byte
	for _, e := range entries {
		if len(e.Body) > maxKept {
			e.Body, e.Truncated = e.Body[:maxKept], true
		}
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("writing quarantine: %w", err)
		}
		text = append(append(text, line...), '\n')
	}
	if q.size > 0 && q.size+int64(len(text)) > q.limit/2 {
		if err := q.turn(); err != nil {
			return err
		}
	}
	n, err := q.file.Write(text)
	q.size += int64(n)
	if err == nil {
		err = q.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing quarantine: %w", err)
	}
	return nil
}

func (q *quarantine) turn() error {
	if err := q.file.Close(); err != nil {
		return fmt.Errorf("closing quarantine: %w", err)
	}
	if err := os.Rename(q.path, filepath.Join(filepath.Dir(q.path), "quarantine.old.ndjson")); err != nil {
		return fmt.Errorf("turning quarantine: %w", err)
	}
	return q.open()
}

func (q *quarantine) close() error { return q.file.Close() }
