package spoilage

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSameBitsEverywhere builds one program for several processors and compares what it computes: architecture.md, 10.
func TestSameBitsEverywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for four targets")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to build with")
	}
	build := func(t *testing.T, name string, environment []string, arguments ...string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		command := exec.Command(goTool, append(append([]string{"build", "-o", path}, arguments...), "./testdata/bits")...)
		command.Env = append(append(os.Environ(), "CGO_ENABLED=0"), environment...)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return path
	}
	run := func(t *testing.T, command ...string) string {
		t.Helper()
		out, err := exec.Command(command[0], command[1:]...).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "findings ")
		return string(out)
	}
	golden, err := os.ReadFile("testdata/bits/golden.txt")
	require.NoError(t, err)
	check := func(t *testing.T, got string) {
		t.Helper()
		require.Equal(t, string(golden), got, "a change here needs a new kernel.Version, or a new model or profile version")
	}
	t.Run("v1", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			t.Skip("not an amd64 machine")
		}
		check(t, run(t, build(t, "v1", []string{"GOARCH=amd64", "GOAMD64=v1"})))
	})
	t.Run("v3", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			t.Skip("not an amd64 machine")
		}
		check(t, run(t, build(t, "v3", []string{"GOARCH=amd64", "GOAMD64=v3"})))
	})
	t.Run("v3 without assembly", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			t.Skip("not an amd64 machine")
		}
		check(t, run(t, build(t, "purego", []string{"GOARCH=amd64", "GOAMD64=v3"}, "-tags", "purego,noasm")))
	})
	t.Run("arm64", func(t *testing.T) {
		binary := build(t, "arm64", []string{"GOARCH=arm64"})
		if runtime.GOARCH == "arm64" {
			check(t, run(t, binary))
			return
		}
		for _, emulator := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
			if path, err := exec.LookPath(emulator); err == nil {
				check(t, run(t, path, binary))
				return
			}
		}
		t.Skip("it builds, but qemu-aarch64-static (Debian: qemu-user-static) is not here to run it")
	})
}
