package quarantine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"time"
)

// archive is a row of NDJSON files, bounded together.
type archive struct {
	dir   string
	limit int64
	path  string // of the file being written; empty: none yet
	size  int64
}

// write appends entries durably, and deletes the oldest files where the bound asks for it, telling how many entries they held.
func (a *archive) write(entries []Entry) (dropped uint64, err error) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for i := range entries {
		if err := encoder.Encode(&entries[i]); err != nil {
			return 0, fmt.Errorf("encoding for the archive: %w", err)
		}
	}
	if a.path == "" || a.size > a.limit/8 {
		a.path = filepath.Join(a.dir, "archive-"+time.Now().UTC().Format("20060102T150405.000000000Z")+".ndjson")
		a.size = 0
	}
	file, err := os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("opening quarantine archive: %w", err)
	}
	_, err = file.WriteAt(lines.Bytes(), a.size)
	if err = errors.Join(err, file.Sync()); err != nil {
		return 0, errors.Join(fmt.Errorf("writing quarantine archive: %w", err), file.Truncate(a.size), file.Close())
	}
	a.size += int64(lines.Len())
	if err := file.Close(); err != nil {
		return 0, fmt.Errorf("closing quarantine archive: %w", err)
	}
	return a.trim()
}

func (a *archive) trim() (dropped uint64, err error) {
	files, err := filepath.Glob(filepath.Join(a.dir, "archive-*.ndjson"))
	if err != nil {
		return 0, fmt.Errorf("listing quarantine archive: %w", err)
	}
	sort.Strings(files)
	sizes, total := make([]int64, len(files)), int64(0)
	for i, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return 0, fmt.Errorf("looking at quarantine archive: %w", err)
		}
		sizes[i] = info.Size()
		total += info.Size()
	}
	for i := 0; total > a.limit && i < len(files)-1; i++ {
		data, err := os.ReadFile(files[i])
		if err == nil {
			err = os.Remove(files[i])
		}
		if err != nil {
			return dropped, fmt.Errorf("trimming quarantine archive: %w", err)
		}
		dropped += uint64(bytes.Count(data, []byte{'\n'}))
		total -= sizes[i]
	}
	return dropped, nil
}
