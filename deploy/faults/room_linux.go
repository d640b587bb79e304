package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/trailmark/trailmark/deploy/supervise"
)

// insideVariable tells the program that it runs in namespaces of its own.
const insideVariable = "TRAILMARK_FAULTS_ROOM"

// Enter runs this program again, with the same arguments, in namespaces of its own for network and mounts (and users, where we are not
// root), and returns its exit code. entered is false where that was done already, or cannot be done: why is then in the reason.
func Enter(ctx context.Context, program string, arguments []string) (code int, entered bool, reason string) {
	if os.Getenv(insideVariable) != "" {
		return 0, false, ""
	}
	for _, tool := range []string{"ip", "iptables", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return 0, false, fmt.Sprintf("%s is missing (Debian: apt-get install iproute2 iptables util-linux)", tool)
		}
	}
	// The kernel ends the child with the thread that started it, so this goroutine keeps its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(program, arguments...) //nolint:noctx // it is told to end by a signal, so that it can stop what it started
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, false, fmt.Sprintf("namespaces of our own are not allowed here: %v", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }) // it may have ended by itself
	defer stop()
	err := cmd.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), true, ""
	}
	if err != nil {
		return 1, true, ""
	}
	return 0, true, ""
}

// room is the namespaces that the run has for itself.
type room struct {
	own    bool // otherwise we share the machine's, and peers are cut off by stopping them
	houses map[string]*house
	disks  []string // mounted
}

// house is a network namespace in which one process lives, joined to ours by a pair of links.
type house struct {
	number int
	anchor *exec.Cmd // holds the namespace open
	ports  []string  // that its process listens on
}

func (h *house) link() string  { return fmt.Sprintf("tmf%d", h.number) }
func (h *house) ours() string  { return fmt.Sprintf("10.98.%d.1", h.number) }
func (h *house) their() string { return fmt.Sprintf("10.98.%d.2", h.number) }

// openRoom prepares the namespaces that Enter made; without them it gives a room that is not our own.
func openRoom(ctx context.Context) (*room, error) {
	r := &room{houses: map[string]*house{}}
	if os.Getenv(insideVariable) == "" {
		return r, nil
	}
	r.own = true
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making mounts private: %w", err)
	}
	for _, step := range []string{
		"ip link set lo up",
		"ip addr add 10.99.0.1/32 dev lo", // Fabric's peer insists on an interface that is not the loopback's own
	} {
		if err := command(ctx, step); err != nil {
			return nil, err
		}
	}
	for _, setting := range []string{"all/route_localnet", "../ip_forward"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4/conf", setting), []byte("1"), 0o644); err != nil { //nolint:gosec // a kernel setting of our own namespace
			return nil, fmt.Errorf("setting up the network: %w", err)
		}
	}
	return r, nil
}

// command runs a command line without quotes.
func command(ctx context.Context, line string) error {
	fields := strings.Fields(line)
	output, err := exec.CommandContext(ctx, fields[0], fields[1:]...).CombinedOutput() //nolint:gosec // our own lines
	if err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// move gives the process of a spec a network namespace of its own, and returns the spec that runs it there. It goes on listening on
// 127.0.0.1, and reaches everybody else there: what is addressed to a loopback port that is not of one's own namespace is redirected
// over the link. So nothing that knows its address has to learn another one.
func (r *room) move(ctx context.Context, spec supervise.Spec) (supervise.Spec, error) {
	h := &house{number: len(r.houses) + 1, ports: listens(spec)}
	if len(h.ports) == 0 || len(h.ports) > 15 {
		return spec, fmt.Errorf("moving %s: it listens on %d ports", spec.Name, len(h.ports))
	}
	h.anchor = exec.Command("sleep", "10800") //nolint:noctx // ended by close, and at the latest by itself
	h.anchor.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setpgid: true}
	if err := h.anchor.Start(); err != nil {
		return spec, fmt.Errorf("making a network namespace for %s: %w", spec.Name, err)
	}
	r.houses[spec.Name] = h
	name := fmt.Sprintf("/proc/%d/ns/net", h.anchor.Process.Pid)
	inside := "nsenter --net=" + name + " "
	ports := strings.Join(h.ports, ",")
	steps := []string{
		fmt.Sprintf("ip link add %s type veth peer name far netns %d", h.link(), h.anchor.Process.Pid),
		fmt.Sprintf("ip addr add %s/30 dev %s", h.ours(), h.link()),
		fmt.Sprintf("ip link set %s up", h.link()),
		inside + "ip link set lo up",
		inside + fmt.Sprintf("ip addr add %s/30 dev far", h.their()),
		inside + "ip link set far up",
		inside + "sysctl -q -w net.ipv4.conf.all.route_localnet=1",
		inside + "iptables -w -t nat -A PREROUTING -i far -p tcp -j DNAT --to-destination 127.0.0.1",
		inside + fmt.Sprintf("iptables -w -t nat -A OUTPUT -o lo -d 127.0.0.1 -p tcp -m multiport ! --dports %s -j DNAT --to-destination %s", ports, h.ours()),
		inside + fmt.Sprintf("iptables -w -t nat -A POSTROUTING -o far -p tcp -j SNAT --to-source %s", h.their()),
		// First those for other houses' ports, then what is for us.
		fmt.Sprintf("iptables -w -t nat -I PREROUTING 1 -i tmf+ -p tcp -m multiport --dports %s -j DNAT --to-destination %s", ports, h.their()),
		fmt.Sprintf("iptables -w -t nat -A PREROUTING -i %s -p tcp -j DNAT --to-destination 127.0.0.1", h.link()),
		fmt.Sprintf("iptables -w -t nat -A OUTPUT -o lo -d 127.0.0.1 -p tcp -m multiport --dports %s -j DNAT --to-destination %s", ports, h.their()),
		fmt.Sprintf("iptables -w -t nat -A POSTROUTING -o %s -p tcp -j SNAT --to-source %s", h.link(), h.ours()), // unlike MASQUERADE it remembers connections while the link is down
	}
	for _, step := range steps {
		if err := command(ctx, step); err != nil {
			return spec, fmt.Errorf("giving %s a network namespace: %w", spec.Name, err)
		}
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return spec, err
	}
	spec.Argv = append([]string{nsenter, "--net=" + name, "--"}, spec.Argv...)
	return spec, nil
}

// listens finds the loopback ports that a Fabric process is told to listen on.
func listens(spec supervise.Spec) (ports []string) {
	for _, setting := range spec.Env {
		key, value, _ := strings.Cut(setting, "=")
		if !strings.HasSuffix(key, "LISTENADDRESS") {
			continue
		}
		if port, ok := strings.CutPrefix(value, "127.0.0.1:"); ok {
			if _, err := strconv.ParseUint(port, 10, 16); err == nil && !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	return ports
}

// cut takes the link of a process down, or puts it up again.
func (r *room) cut(ctx context.Context, name string, apart bool) error {
	h := r.houses[name]
	if h == nil {
		return fmt.Errorf("%s has no network namespace of its own", name)
	}
	return command(ctx, fmt.Sprintf("ip link set %s %s", h.link(), map[bool]string{true: "down", false: "up"}[apart]))
}

// mountDisk mounts a small filesystem; it is gone with the run's mount namespace.
func (r *room) mountDisk(dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("mounting a small disk on %s: %w", dir, err)
	}
	r.disks = append(r.disks, dir)
	return nil
}

func (r *room) close() {
	for _, dir := range r.disks {
		_ = syscall.Unmount(dir, syscall.MNT_DETACH) // it would end with our namespace anyway
	}
	for _, h := range r.houses {
		_ = h.anchor.Process.Kill() // it only sleeps
		_ = h.anchor.Wait()
	}
}
