package supervise

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Spec says how to run one process.
type Spec struct {
	// Name identifies the process in its group and names its log file.
	Name string `json:"name"`
	// Stage orders the group: lower stages start first and stop last.
	Stage int `json:"stage"`
	// Argv is the program and its arguments.
	Argv []string `json:"argv"`
	// Env is the whole environment, as KEY=VALUE; nil means the supervisor's own.
	Env []string `json:"env,omitempty"`
	// Dir is the working directory; empty means the supervisor's own.
	Dir string `json:"dir,omitempty"`
	// Grace is the time between SIGTERM and SIGKILL; zero means 10 s.
	Grace time.Duration `json:"grace,omitempty"`
	// Generation is any text; changing it restarts the process (a new build of
	// the same program, say).
	Generation string `json:"generation,omitempty"`
	// Paused keeps the process in the group but stopped.
	Paused bool `json:"paused,omitempty"`
}

const defaultGrace = 10 * time.Second

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,79}$`)

func (s Spec) validate() error {
	if !nameRule.MatchString(s.Name) {
		return fmt.Errorf("process name %q: want lower-case letters, digits, dots and dashes, at most 80", s.Name)
	}
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return fmt.Errorf("process %s: no program given", s.Name)
	}
	if s.Grace < 0 {
		return fmt.Errorf("process %s: negative grace", s.Name)
	}
	return nil
}

// digest is what decides whether a running process still is what was asked for.
func (s Spec) digest() string {
	raw, err := json.Marshal(s)
	if err != nil { // strings, integers and a bool always marshal
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func (s Spec) grace() time.Duration {
	if s.Grace == 0 {
		return defaultGrace
	}
	return s.Grace
}

// State is what a process is doing.
type State string

const (
	// Running means that the process exists.
	Running State = "running"
	// Waiting means that it ended by itself and is started again after a pause.
	Waiting State = "waiting"
	// Stopped means that its spec is paused, or its group has no supervisor.
	Stopped State = "stopped"
)

// Status is what the supervisor knows of one process.
type Status struct {
	Name     string    `json:"name"`
	Stage    int       `json:"stage"`
	State    State     `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Since    time.Time `json:"since"`              // start of this run, or its end
	Restarts int       `json:"restarts"`           // times it was started again since the supervisor began
	LastExit string    `json:"lastExit,omitempty"` // how the previous run ended
	Birth    uint64    `json:"birth,omitempty"`    // with PID, tells this process from a later one of that id
	Digest   string    `json:"digest"`             // of the spec it was started from
}

// alive tells whether the very process described still exists.
func (s Status) alive() bool {
	return s.PID > 0 && processBirth(s.PID) == s.Birth && s.Birth != 0
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file in one step, so that a reader sees all or nothing.
func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(raw, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
