package supervise

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// maxLogBytes bounds one log file; the one before it is kept as NAME.log.1.
const maxLogBytes = 8 << 20

// logFile is a writer that starts a new file when the present one is full.
type logFile struct {
	path string
	max  int64

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLog(path string, limit int64) (*logFile, error) {
	l := &logFile{path: path, max: limit}
	return l, l.open()
}

func (l *logFile) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("opening log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	return nil
}

// Write never fails: an error here would close the child's output and, with the
// next line it prints, end the child. A full disk loses log lines instead.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		l.rotate()
	}
	if l.file != nil {
		n, _ := l.file.Write(p)
		l.size += int64(n)
	}
	return len(p), nil
}

func (l *logFile) rotate() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	_ = os.Rename(l.path, l.path+".1")
	if l.open() != nil {
		l.file, l.size = nil, 0
	}
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// tail returns the last bytes of a file, from the start of a line.
func tail(path string, limit int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	start := max(0, info.Size()-limit)
	raw, err := io.ReadAll(io.NewSectionReader(file, start, limit))
	if err != nil {
		return ""
	}
	if start > 0 {
		for i, b := range raw {
			if b == '\n' {
				raw = raw[i+1:]
				break
			}
		}
	}
	return string(raw)
}
