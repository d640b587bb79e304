package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/gateway/api"
	"github.com/trailmark/trailmark/gateway/ledger/ledgertest"
)

// box is a quarantine in memory.
type box []api.QuarantinedMessage

func (b box) List(_ context.Context, f api.QuarantineFilter) (list []api.QuarantinedMessage, next string, err error) {
	for _, m := range b {
		if (f.Device == "" || m.Device == f.Device) && (f.Verdict == "" || m.Verdict == f.Verdict) && len(list) < f.Limit {
			list = append(list, m)
		}
	}
	return list, "", nil
}

func (b box) Get(_ context.Context, id string) (api.QuarantinedMessage, error) {
	for _, m := range b {
		if m.ID == id {
			return m, nil
		}
	}
	return api.QuarantinedMessage{}, provenance.NotFoundf("the quarantine holds no message %q", id)
}

func (b box) Count(context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, m := range b {
		counts[m.Verdict]++
	}
	return counts, nil
}

func (b box) Replay(ctx context.Context, id string) (api.Replayed, error) {
	m, err := b.Get(ctx, id)
	return api.Replayed{Verdict: m.Verdict, Reason: m.Reason}, err
}

func someBox() box {
	return box{
		{ID: "q2", Received: start + hour, Last: start + 2*hour, Times: 2, Topic: "t/x", Verdict: "malformed", Reason: "truncated", Message: []byte{1, 2}},
		{ID: "q1", Received: start, Last: start, Times: 1, Topic: "t/logger-1", Device: "logger-1", Verdict: "bad-signature", Reason: "the signature does not verify", Message: []byte("x")},
	}
}

// full is a node with everything, on the small ledger.
func full(t *testing.T) *node {
	var n *node
	n = newNode(t, func(s *api.Service) {
		s.Quarantine = someBox()
		s.Acknowledge = func(_ context.Context, r provenance.AcknowledgeRequest) (provenance.Alert, error) {
			a := alert(r.ID, provenance.KindBandExcursion, func(a *provenance.Alert) {
				a.Acknowledgement = &provenance.Acknowledgement{Organisation: "CarrierMSP", Person: r.Person, Comment: r.Comment, Time: n.chain.Now}
			})
			n.raise(a)
			n.cut()
			n.anchor("CarrierMSP", "MakerMSP")
			return *a, nil
		}
	})
	n.road()
	return n
}

// Every operation of the specification answers as the specification says.
func TestEveryOperationAnswersAsSpecified(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	n := full(t)
	calls := map[string][]string{ // by operation: requests that succeed, then "!" requests that fail as specified
		"getStatus":           {"/status"},
		"listShipments":       {"/shipments", "/shipments?state=act&open=true&search=milk", "!/shipments?limit=0"},
		"getShipment":         {"/shipments/milk-1", "!/shipments/none", "!/shipments/-bad"},
		"getShipmentReadings": {"/shipments/milk-1/readings", "/shipments/milk-1/readings?resolution=0", "/shipments/milk-1/readings?resolution=60", "!/shipments/none/readings"},
		"listAlerts":          {"/alerts", "/alerts?acknowledged=false&shipment=milk-1&kind=band-excursion&limit=1", "!/alerts?kind=nonsense", "!/alerts?after=nonsense"},
		"getAlert":            {"/alerts/milk-1/band-excursion-1", "!/alerts/milk-1/none"},
		"getAlertReceipt":     {"/alerts/milk-1/band-excursion-1/receipt", "!/alerts/milk-1/none/receipt"},
		"acknowledgeAlert":    {"/alerts/milk-1/band-excursion-1/acknowledge", "!/alerts/milk-1/band-excursion-1/acknowledge", "!/alerts/milk-1/none/acknowledge"},
		"getReadingReceipt":   {"/readings/logger-1/1/1/0/receipt", "!/readings/logger-1/1/1/5/receipt", "!/readings/logger-1/0/1/0/receipt", "!/readings/logger-1/1/1/1024/receipt"},
		"listDevices":         {"/devices", "/devices?search=logger&status=active&organisation=CarrierMSP&dueBefore=2040-01-01T00:00:00Z&limit=1", "!/devices?dueBefore=tomorrow"},
		"getDevice":           {"/devices/logger-1", "/devices/logger-3", "!/devices/none"},
		"listQuarantine":      {"/quarantine", "/quarantine?verdict=malformed", "/quarantine?device=logger-1"},
		"getQuarantined":      {"/quarantine/q1", "!/quarantine/none"},
		"replayQuarantined":   {"/quarantine/q1/replay", "!/quarantine/none/replay"},
		"listModels":          {"/models"},
		"getTrust":            {"/trust"},
		"getLog":              {"/log"},
		"listCheckpoints":     {"/log/checkpoints", "/log/checkpoints?organisation=CarrierMSP&limit=1"},
		"listContradictions":  {"/log/contradictions"},
		"listAnomalies":       {"/log/anomalies"},
		"getLeaf":             {"/log/leaves/0", "!/log/leaves/4000", "!/log/leaves/-1", "!/log/leaves/99999999999999999999"},
		"getInclusionProof":   {"/log/inclusion?leaf=1", "/log/inclusion?leaf=1&size=2", "!/log/inclusion?leaf=2&size=2", "!/log/inclusion"},
		"getConsistencyProof": {"/log/consistency?first=1", "/log/consistency?first=0&second=2", "!/log/consistency?first=3&second=2"},
		"openStream":          nil, // see the tests of the stream
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			list, listed := calls[operation.OperationID]
			require.True(t, listed, "%s is not tested", operation.OperationID)
			for _, url := range list {
				url, fails := strings.CutPrefix(url, "!")
				body := ""
				if operation.RequestBody != nil {
					body = `{"comment": "Door was open; shut."}`
				}
				got := n.ask(method, "/api/v1"+url, officer, body)
				require.Equal(t, !fails, got.Code == http.StatusOK, "%s %s: %s", method, url, got.Body)
				conforms(t, doc, path, method, got.ResponseRecorder)
			}
		}
	}
	require.Len(t, calls, 24)
}

func conforms(t *testing.T, doc *openapi3.T, path, method string, got *httptest.ResponseRecorder) {
	t.Helper()
	item := doc.Paths.Value(path)
	request := httptest.NewRequest(method, "/", nil)
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request, Route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		},
		Status: got.Code, Header: got.Header(), Body: io.NopCloser(bytes.NewReader(got.Body.Bytes())),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	require.NoError(t, err, "%s %s: %s", method, path, got.Body)
}

func init() {
	openapi3filter.RegisterBodyDecoder("application/cbor", openapi3filter.FileBodyDecoder)
}

// Receipts and trust as they are served verify.
func TestServedReceiptsVerify(t *testing.T) {
	n := full(t)
	trust, err := evidence.ParseTrust(n.get("/trust").Body.Bytes())
	require.NoError(t, err)
	for _, path := range []string{"/alerts/milk-1/band-excursion-1/receipt", "/readings/logger-1/1/1/3/receipt"} {
		got := n.get(path)
		require.Equal(t, http.StatusOK, got.Code, got.Body)
		require.Equal(t, "application/cbor", got.Header().Get("Content-Type"))
		require.Contains(t, got.Header().Get("Content-Disposition"), "attachment; filename=")
		_, err := evidence.Verify(got.Body.Bytes(), trust)
		require.NoError(t, err)
	}
	n.record(ledgertest.Frame{Device: "logger-1", Sequence: 2, Readings: series(start+hour, 4)})
	n.cut()
	p := n.get("/readings/logger-1/1/2/0/receipt").problem(503, api.Unavailable)
	require.NotEmpty(t, p.Next)
}

func TestProofsAddUp(t *testing.T) {
	n := full(t)
	inclusion := as[api.InclusionProof](n.get("/log/inclusion?leaf=2"))
	leaf := as[api.LogLeaf](n.get("/log/leaves/2"))
	require.Equal(t, leaf.Hash, inclusion.LeafHash)
	log := as[api.Log](n.get("/log"))
	require.Equal(t, log.Root, inclusion.Root)
	require.EqualValues(t, 2, log.Quorum)
	require.Positive(t, log.Agreed)
	require.Len(t, log.Organisations, 2)
	for _, o := range log.Organisations {
		require.Equal(t, api.Agrees, o.Agreement)
	}
	shown := as[api.Alert](n.get("/alerts/milk-1/band-excursion-1"))
	require.Len(t, shown.Provenance.Proven, 2)
}

func TestAcknowledgesInThePersonsName(t *testing.T) {
	n := full(t)
	shown := as[api.Alert](n.ask("POST", "/api/v1/alerts/milk-1/band-excursion-1/acknowledge", officer, `{"comment": " Shut the door. "}`))
	require.Equal(t, "Ada Officer", shown.Acknowledgement.Person)
	require.Equal(t, "Shut the door.", shown.Acknowledgement.Comment)
	require.Equal(t, "The CarrierMSP", shown.Acknowledgement.Organisation.Name)
	p := n.ask("POST", "/api/v1/alerts/milk-1/band-excursion-1/acknowledge", officer, `{"comment": "again"}`).problem(409, api.Conflict)
	require.Contains(t, *p.Detail, "Ada Officer")
	require.NotEqual(t, api.Act, n.summary().State)
}

func TestRefusesWhatTheSpecificationDoesNotAllow(t *testing.T) {
	n := full(t)
	for _, c := range []struct{ method, path, body, says string }{
		{"GET", "/shipments?limit=501", "", `"limit"`},
		{"GET", "/shipments?limit=x", "", `"limit"`},
		{"GET", "/shipments?state=act&state=angry", "", `"state"`},
		{"GET", "/shipments?stat=act", "", `"stat"`},
		{"GET", "/shipments?token=abc", "", `"token"`},
		{"GET", "/shipments?search=" + strings.Repeat("x", 65), "", `"search"`},
		{"GET", "/shipments?after=" + strings.Repeat("x", 257), "", `"after"`},
		{"GET", "/shipments?after=eyJ9", "", `"after"`},
		{"GET", "/shipments/" + strings.Repeat("x", 65), "", `"shipment"`},
		{"GET", "/shipments/%3Cscript%3E", "", `"shipment"`},
		{"GET", "/shipments/milk-1/readings?resolution=-1", "", `"resolution"`},
		{"GET", "/shipments/milk-1/readings?resolution=86401", "", `"resolution"`},
		{"GET", "/shipments/milk-1/readings?from=yesterday", "", `"from"`},
		{"GET", "/readings/logger-1/4294967296/1/0/receipt", "", `"epoch"`},
		{"POST", "/alerts/milk-1/band-excursion-1/acknowledge", "", "body"},
		{"POST", "/alerts/milk-1/band-excursion-1/acknowledge", "{", "body"},
		{"POST", "/alerts/milk-1/band-excursion-1/acknowledge", `{"comment": "no"}`, "comment"},
		{"POST", "/alerts/milk-1/band-excursion-1/acknowledge", `{"comment": "     "}`, "comment"},
		{"POST", "/alerts/milk-1/band-excursion-1/acknowledge", `{"comment": "` + strings.Repeat("x", 20_000) + `"}`, "larger than"},
	} {
		p := n.ask(c.method, "/api/v1"+c.path, officer, c.body).problem(400, api.Invalid)
		require.Contains(t, *p.Detail, c.says, "%s %s", c.method, c.path)
		require.Less(t, len(*p.Detail), 500)
	}
	for _, path := range []string{"/nothing", "/shipments/a/b/c", "/"} {
		n.get(path).problem(404, api.NotFound)
	}
	n.ask("DELETE", "/api/v1/shipments/milk-1", officer, "").problem(404, api.NotFound)
}

func TestOnlyPeopleWithATokenAndTheRight(t *testing.T) {
	n := full(t)
	for _, c := range []struct {
		method, path, token, body string
		status                    int
		code                      api.ProblemCode
	}{
		{"GET", "/status", "", "", 401, api.Unauthorised},
		{"GET", "/status", "wrong", "", 401, api.Unauthorised},
		{"GET", "/stream", "", "", 401, api.Unauthorised},
		{"GET", "/nothing", "", "", 401, api.Unauthorised},
		{"GET", "/shipments?limit=0", "", "", 401, api.Unauthorised},
		{"POST", "/alerts/milk-1/band-excursion-1/acknowledge", reader, `{"comment": "Seen."}`, 403, api.Forbidden},
		{"POST", "/alerts/milk-1/band-excursion-1/acknowledge", "", `{"comment": "Seen."}`, 401, api.Unauthorised},
		{"POST", "/quarantine/q1/replay", reader, "", 403, api.Forbidden},
	} {
		got := n.ask(c.method, "/api/v1"+c.path, c.token, c.body)
		got.problem(c.status, c.code)
		require.Equal(t, c.status == 401, got.Header().Get("WWW-Authenticate") != "")
	}
	status := as[api.NodeStatus](n.ask("GET", "/api/v1/status", reader, ""))
	require.Equal(t, api.User{Name: "Rita Reader"}, status.User)
	require.Equal(t, http.StatusOK, n.ask("GET", "/healthz", "", "").Code)
}

func TestMetricsAreForThisMachineOrATokenOnly(t *testing.T) {
	n := newNode(t, nil)
	for _, c := range []struct {
		from, token, forwarded string
		status                 int
	}{
		{"127.0.0.1:999", "", "", 200},
		{"[::1]:999", "", "", 200},
		{"192.0.2.7:999", "", "", 401},
		{"192.0.2.7:999", reader, "", 200},
		{"127.0.0.1:999", "", "192.0.2.7", 401},
	} {
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.RemoteAddr = c.from
		if c.token != "" {
			request.Header.Set("Authorization", "Bearer "+c.token)
		}
		if c.forwarded != "" {
			request.Header.Set("X-Forwarded-For", c.forwarded)
		}
		recorder := httptest.NewRecorder()
		n.handler.ServeHTTP(recorder, request)
		require.Equal(t, c.status, recorder.Code, "%+v", c)
	}
}

func TestSaysWhyItIsNotReady(t *testing.T) {
	n := newNode(t, func(s *api.Service) {
		s.Ready = func() (bool, []string) { return false, []string{"The broker does not answer."} }
	})
	got := n.ask("GET", "/readyz", "", "")
	require.Equal(t, http.StatusServiceUnavailable, got.Code)
	require.Contains(t, got.Body.String(), "The broker does not answer.")
	status := as[api.NodeStatus](n.get("/status"))
	require.False(t, status.Ready)
	require.Contains(t, status.Reasons, "The broker does not answer.")
}

func TestPartsThatANodeDoesNotHaveAreUnavailable(t *testing.T) {
	n := newNode(t, func(s *api.Service) { s.Store, s.Receipts, s.Changes = nil, nil, nil })
	for _, path := range []string{"/shipments", "/shipments/a", "/shipments/a/readings", "/alerts", "/alerts/a/b", "/alerts/a/b/receipt", "/readings/a/1/1/0/receipt", "/devices", "/devices/a", "/quarantine", "/quarantine/a", "/models", "/trust", "/log", "/log/checkpoints", "/log/contradictions", "/log/anomalies", "/log/leaves/0", "/log/inclusion?leaf=0", "/log/consistency?first=0", "/stream"} {
		p := n.get(path).problem(503, api.Unavailable)
		require.NotEmpty(t, p.Next, path)
	}
	n.ask("POST", "/api/v1/alerts/a/b/acknowledge", officer, `{"comment": "Seen."}`).problem(503, api.Unavailable)
	require.Zero(t, as[api.NodeStatus](n.get("/status")).Ledger.Height)
}
