//go:build js && wasm

// Command wasm is the verifier of receipts for a browser: evidence.Verify as WebAssembly, and nothing else. It promises what
// evidence.Verify promises, never panics on what it is handed, keeps nothing between two calls and reaches for no network. It
// may import chaincode/evidence alone, so that what a regulator loads stays small. web/scripts/verifier.mjs builds it.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"syscall/js"

	"github.com/trailmark/trailmark/chaincode/evidence"
)

// answer is what both functions hand to the page, as JSON: a report, the keys of a trust file, or the part that does not hold.
type answer struct {
	Report       *evidence.Report `json:"report,omitempty"`
	Trust        *evidence.Trust  `json:"trust,omitempty"`
	Fingerprints []string         `json:"fingerprints,omitempty"` // SHA-256 of each organisation's logKey, as it is written
	Part         string           `json:"part,omitempty"`
	Detail       string           `json:"detail,omitempty"`
}

func refused(err error) answer {
	var part *evidence.VerifyError
	if errors.As(err, &part) {
		return answer{Part: part.Part, Detail: part.Detail}
	}
	return answer{Part: "trust file", Detail: err.Error()}
}

func readTrust(text []byte) answer {
	trust, err := evidence.ParseTrust(text)
	if err != nil {
		return refused(err)
	}
	a := answer{Trust: trust}
	for _, o := range trust.Organisations {
		sum := sha256.Sum256([]byte(o.LogKey))
		a.Fingerprints = append(a.Fingerprints, hex.EncodeToString(sum[:]))
	}
	return a
}

func verify(receipt, text []byte) answer {
	trust, err := evidence.ParseTrust(text)
	if err != nil {
		return refused(err)
	}
	report, err := evidence.Verify(receipt, trust)
	if err != nil {
		return refused(err)
	}
	return answer{Report: report}
}

// bytesOf copies a Uint8Array that is no longer than a receipt may be; a trust file is far shorter.
func bytesOf(value js.Value) ([]byte, error) {
	if !value.InstanceOf(js.Global().Get("Uint8Array")) {
		return nil, errors.New("it is not a Uint8Array")
	}
	if n := value.Length(); n > evidence.MaxReceipt {
		return nil, fmt.Errorf("it is %d bytes long, at most %d are allowed", n, evidence.MaxReceipt)
	}
	data := make([]byte, value.Length())
	js.CopyBytesToGo(data, value)
	return data, nil
}

// exported makes a function of the page's: Uint8Arrays of these names in, JSON out.
func exported(call func(data [][]byte) answer, names ...string) js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) (result any) {
		say := func(a answer) string {
			text, err := json.Marshal(a)
			if err != nil {
				return `{"part":"verifier","detail":"its report cannot be written"}`
			}
			return string(text)
		}
		defer func() {
			// A panic would end the program and leave the page without any answer; no answer is ever "proved".
			if reason := recover(); reason != nil {
				result = say(answer{Part: "verifier", Detail: fmt.Sprintf("it failed on this input: %v", reason)})
			}
		}()
		if len(args) != len(names) {
			return say(answer{Part: "verifier", Detail: fmt.Sprintf("it was called with %d arguments, want %d", len(args), len(names))})
		}
		data := make([][]byte, len(args))
		for i, arg := range args {
			var err error
			if data[i], err = bytesOf(arg); err != nil {
				return say(answer{Part: names[i], Detail: err.Error()})
			}
		}
		return say(call(data))
	})
}

func main() {
	js.Global().Set("trailmarkVerifier", map[string]any{
		"trust":  exported(func(data [][]byte) answer { return readTrust(data[0]) }, "trust file"),
		"verify": exported(func(data [][]byte) answer { return verify(data[0], data[1]) }, "encoding", "trust file"),
	})
	select {} // the page calls the functions for as long as it stands
}
