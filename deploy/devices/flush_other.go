//go:build !linux

package devices

import (
	"io/fs"
	"os"
	"path/filepath"
)

// flush makes everything written below a folder survive a loss of power.
func flush(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		return file.Sync()
	})
}
