package fabric

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// programs are the tools of tools/go.mod.
var programs = []string{"configtxgen", "cryptogen", "orderer", "osnadmin", "peer"}

const (
	fabricModule = "github.com/hyperledger/fabric"
	// builtPackages is about how many packages a build from nothing compiles; it
	// only scales the progress text.
	builtPackages = 825
)

// stamp says what a cache folder holds; it is written last.
type stamp struct {
	Fabric string    `json:"fabric"`
	Pins   string    `json:"pins"` // digest of tools/go.mod and go.sum
	Go     string    `json:"go"`
	Built  time.Time `json:"built"`
}

// Build compiles Fabric's programs into the cache, unless they are there. The
// cache is shared by all networks of a user, and safe against concurrent builds.
// A program without its source tree beside it can use a cache, but not fill one.
func Build(ctx context.Context, cfg Config, progress func(step string)) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if progress == nil {
		progress = func(string) {}
	}
	tools, missing := findTools(cfg.Tools)
	var pins string
	if missing == nil {
		if pins, err = digestPins(tools); err != nil {
			return err
		}
	}
	if built(cfg.Cache, pins) {
		return nil
	}
	if missing != nil {
		return missing
	}
	release, err := lockDir(ctx, cfg.Cache)
	if err != nil {
		return err
	}
	defer release()
	if built(cfg.Cache, pins) { // somebody else did while we waited
		return nil
	}
	return build(ctx, cfg.Cache, tools, pins, progress)
}

func built(cache, pins string) bool {
	var s stamp
	if err := readJSON(filepath.Join(cache, "built.json"), &s); err != nil {
		return false
	}
	return s.Fabric == Version && (pins == "" || s.Pins == pins)
}

func build(ctx context.Context, cache, tools, pins string, progress func(string)) error {
	if err := makeDir(cache); err != nil {
		return err
	}
	if err := checkDisk(cache, minDiskBuild); err != nil {
		return fmt.Errorf("building Fabric: %w", err)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("building Fabric needs the Go toolchain: put go (1.26 or later) into PATH")
	}
	progress("building Fabric " + Version + " from source (a minute or two, once)")
	bin, err := os.MkdirTemp(cache, "build-*")
	if err != nil {
		return fmt.Errorf("making build folder: %w", err)
	}
	defer os.RemoveAll(bin)
	if err := compile(ctx, tools, bin, progress); err != nil {
		return err
	}
	for _, name := range programs {
		if err := os.MkdirAll(filepath.Join(cache, "bin"), 0o750); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(bin, name), filepath.Join(cache, "bin", name)); err != nil {
			return fmt.Errorf("installing %s: %w", name, err)
		}
	}
	if err := copySampleConfig(ctx, cache, tools); err != nil {
		return err
	}
	return writeJSON(filepath.Join(cache, "built.json"), stamp{Fabric: Version, Pins: pins, Go: runtime.Version(), Built: time.Now().UTC()})
}

func compile(ctx context.Context, tools, bin string, progress func(string)) error {
	cmd := goCommand(ctx, tools, "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", bin+string(filepath.Separator), "tool")
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the build of Fabric: %w", err)
	}
	var last []string
	lines := bufio.NewScanner(output)
	for count := 1; lines.Scan(); count++ {
		last = append(last, lines.Text())
		if len(last) > 30 {
			last = last[1:]
		}
		if count%50 == 0 {
			progress(fmt.Sprintf("building Fabric: %d of about %d packages", count, max(builtPackages, count)))
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return fmt.Errorf("building Fabric failed: %w; its last words were:\n%s", err, strings.Join(last, "\n"))
	}
	return nil
}

// goCommand runs the go tool in the module that pins Fabric, away from any
// workspace or flags meant for another module. Fabric needs no C.
func goCommand(ctx context.Context, tools string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = tools
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	return cmd
}

// copySampleConfig keeps Fabric's own configuration files in the cache, with one
// change: no container engine. (An empty environment variable would not override
// that one, and a peer cannot start without the rest of the file.)
func copySampleConfig(ctx context.Context, cache, tools string) error {
	out, err := goCommand(ctx, tools, "list", "-m", "-f", "{{.Dir}}", fabricModule).Output()
	if err != nil {
		return fmt.Errorf("finding Fabric's source: %w", err)
	}
	sample := filepath.Join(strings.TrimSpace(string(out)), "sampleconfig")
	for _, name := range []string{"core.yaml", "orderer.yaml"} {
		raw, err := os.ReadFile(filepath.Join(sample, name))
		if err != nil {
			return fmt.Errorf("reading Fabric's sample configuration: %w", err)
		}
		if name == "core.yaml" {
			if raw, err = withoutContainers(raw); err != nil {
				return err
			}
		}
		if err := writeFile(filepath.Join(cache, "config", name), raw, 0o640); err != nil {
			return fmt.Errorf("keeping Fabric's sample configuration: %w", err)
		}
	}
	return nil
}

func withoutContainers(core []byte) ([]byte, error) {
	const engine = "endpoint: unix:///var/run/docker.sock"
	if bytes.Count(core, []byte(engine)) != 1 {
		return nil, fmt.Errorf("Fabric's core.yaml has no single line %q: is this Fabric %s?", engine, Version)
	}
	return bytes.Replace(core, []byte(engine), []byte(`endpoint: ""`), 1), nil
}

// findTools looks for the module that pins Fabric: where it was said to be, or
// upwards from the working folder and from this program.
func findTools(configured string) (string, error) {
	starts := []string{configured}
	if configured == "" {
		starts = starts[:0]
		if wd, err := os.Getwd(); err == nil {
			starts = append(starts, wd)
		}
		if exe, err := os.Executable(); err == nil {
			starts = append(starts, filepath.Dir(exe))
		}
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			for _, candidate := range []string{dir, filepath.Join(dir, "deploy", "fabric", "tools")} {
				if raw, err := os.ReadFile(filepath.Join(candidate, "go.mod")); err == nil && bytes.HasPrefix(raw, []byte("module github.com/trailmark/trailmark/deploy/fabric/tools\n")) {
					return candidate, nil
				}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("Fabric is not built yet, and the module that pins it (deploy/fabric/tools) was not found: run this once from Trailmark's source tree, or set TRAILMARK_FABRIC_TOOLS")
}

func digestPins(tools string) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		raw, err := os.ReadFile(filepath.Join(tools, name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s lacks %s", tools, name)
		}
		if err != nil {
			return "", fmt.Errorf("reading Fabric's pins: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n", name, len(raw))
		sum.Write(raw)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
