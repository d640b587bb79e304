package contract

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestRequestsAreReadStrictly(t *testing.T) {
	w := newTrade(t)
	for argument, want := range map[string]string{
		``:                      "invalid: request: want a JSON object",
		`null`:                  "invalid: request: want a JSON object",
		`[]`:                    "invalid: request: want a JSON object",
		`{`:                     "invalid: request: unexpected EOF",
		`{"id":"s1"} {}`:        "invalid: request: data after the JSON object",
		`{"id":"s1"}x`:          "invalid: request: data after the JSON object",
		`{"id":"s1","force":1}`: `invalid: request: unknown field "force"`,
		`{"id":1}`:              "invalid: request: cannot unmarshal number into Go struct field ByID.id of type string",
		`{"id":"../d/s1"}`:      "invalid: device: '.' at position 1 is not allowed in an identifier (letters, digits, and . _ : - after the first)",
		`{"id":"` + strings.Repeat("a", 65) + `"}`:          "invalid: device: identifier of 65 bytes, at most 64 are allowed",
		`{"id":"` + strings.Repeat("a", maxArgument) + `"}`: "invalid: request of 65545 bytes, at most 65536 are allowed",
	} {
		w.refused(maker, "devices:Suspend", []byte(argument), want)
	}
	w.refused(maker, "models:Register", []byte(`{"name":"m","hash":"12"}`), "invalid: request: hash of 2 characters, want 64 hexadecimal digits")
	w.refused(maker, "devices:List", []byte(`{"limit":1001}`), "invalid: a page of 1001 entries, at most 1000 are allowed")
	w.refused(maker, "devices:List", []byte(`{"after":"/"}`), "invalid: after: '/' at position 1 is not allowed in an identifier (letters, digits, and . _ : - after the first)")
}

func TestEveryFunctionTakesOneArgument(t *testing.T) {
	w := newTrade(t)
	for _, function := range functionsOf(t) {
		for _, arguments := range [][][]byte{{}, {[]byte(`{}`), []byte(`{}`)}} {
			s, _ := w.simulate(0, identity(maker, "client"), function, nil)
			s.args = append([][]byte{[]byte(function)}, arguments...)
			response := w.endorsers[0].Invoke(s)
			require.Contains(t, response.GetMessage(), "invalid: request: ", function)
			require.Contains(t, response.GetMessage(), "arguments, every function takes exactly one", function)
		}
	}
}

func TestCallersMustBeKnown(t *testing.T) {
	w := newTrade(t)
	for _, creator := range [][]byte{nil, {0xff}, []byte("\x0a\x01A\x12\x01x")} {
		_, response := w.simulate(0, creator, "lanes:Get", []byte(`{"organisation":"A"}`))
		require.Equal(t, "forbidden: the caller's identity cannot be read", response.GetMessage())
	}
	w.now = 0
	w.refused(maker, "lanes:Get", provenance.LaneName{Organisation: maker}, "invalid: the transaction's time: 0 is not a time in milliseconds since 1970")
}

func TestUnknownFunctionsAreRefused(t *testing.T) {
	w := newTrade(t)
	w.refused(maker, "devices:Enrol", provenance.ByID{}, "Function Enrol not found in contract devices")
	w.refused(maker, "tokens:Mint", provenance.ByID{}, "Contract not found with name tokens")
}

func TestABrokenStateIsAnErrorNotAPanic(t *testing.T) {
	w := newScene(t)
	for key := range w.state {
		w.state[key] = entry{[]byte{0xa1}, 1}
	}
	for function, request := range map[string]any{
		"devices:Get": provenance.ByID{ID: "s1"}, "devices:List": provenance.Page{}, "shipments:Get": provenance.ByID{ID: "ship"},
		"lanes:Claim": provenance.LaneClaim{Owner: "x"}, "alerts:Raise": alertRequest("n"), "organisations:List": provenance.Page{},
		"registry:Get": provenance.ByID{ID: makerPrefix}, "custody:Get": provenance.ByID{ID: "h1"}, "events:Item": provenance.GoodsName{ID: thing(1)},
		"events:Capture": captureArgument(t, true, object("OBSERVE", "storing", start, thing(1))), "recalls:Get": provenance.ByID{ID: "r1"},
		"checkpoints:Anchor": provenance.AnchorRequest{Note: "x"}, "readings:Head": provenance.HeadName{Device: "s1", Epoch: 1},
	} {
		_, err := w.submit(maker, function, request)
		require.ErrorContains(t, err, "decoding ", function)
		require.Nil(t, provenance.ParseError(err.Error()), "an internal error is no refusal")
	}
}

type panicking struct{ shim.Chaincode }

func (panicking) Init(shim.ChaincodeStubInterface) *peer.Response { panic("init") }
func (panicking) Invoke(shim.ChaincodeStubInterface) *peer.Response {
	parallel(100, func(i int) {
		if i == 77 {
			panic("in a goroutine")
		}
	})
	return shim.Success(nil)
}

func TestAPanicCostsOneTransaction(t *testing.T) {
	require.Equal(t, "internal error: init", guard{panicking{}}.Init(nil).GetMessage())
	require.Equal(t, "internal error: in a goroutine", guard{panicking{}}.Invoke(nil).GetMessage())
}

func FuzzInvoke(f *testing.F) {
	w := newScene(f)
	functions := functionsOf(f)
	for i, function := range functions {
		f.Add(i, []byte(`{"id":"s1"}`))
		if function == "readings:Commit" {
			f.Add(i, w.batch(maker, 0, 2, shot{device: "s1", sequence: 2, count: 3}))
		}
		if function == "events:Capture" {
			f.Add(i, captureArgument(f, true, packing("ADD", pallet(1), start, thing(1), thing(9)).with("childQuantityList", quantities(lotA))))
		}
	}
	for _, request := range []any{alertRequest("n"), opening("n", carrier), modelRequest("2"), provenance.EnrolRequest{Devices: []provenance.Enrolment{enrolment("n", 0)}}} {
		argument, err := json.Marshal(request)
		require.NoError(f, err)
		for i := range functions {
			f.Add(i, argument)
		}
	}
	f.Fuzz(func(t *testing.T, function int, argument []byte) {
		scene := *w
		scene.TB = t
		name := functions[uint(function)%uint(len(functions))]
		_, _, err := scene.endorse(maker, name, argument)
		if err != nil && (provenance.ParseError(err.Error()) == nil || strings.Contains(err.Error(), "internal error")) {
			t.Errorf("%s: %v", name, err)
		}
	})
}
