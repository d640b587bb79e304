package devices

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// flush makes everything written below a folder survive a loss of power, with one call for all files.
func flush(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := unix.Syncfs(int(folder.Fd())); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
