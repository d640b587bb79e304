package spool

import (
	"os"
	"syscall"
)

// datasync makes a file's bytes and its size durable, without its timestamps.
func datasync(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); err != syscall.EINTR { //nolint:errorlint // a plain errno
			return err
		}
	}
}
