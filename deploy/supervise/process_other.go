//go:build unix && !linux

package supervise

import "syscall"

// childAttributes: other systems have no death signal; a supervisor that is
// killed leaves its children, and the next one ends them.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// processBirth can only tell here whether some process has that id.
func processBirth(pid int) uint64 {
	if syscall.Kill(pid, 0) != nil {
		return 0
	}
	return 1
}
