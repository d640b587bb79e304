package api

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

//go:embed openapi.yaml
var specification []byte

// basePath is where the operations are.
const basePath = "/api/v1"

// maxBody bounds what a request may bring; the largest is a comment.
const maxBody = 16 << 10

func loadSpecification() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(specification)
	if err != nil {
		return nil, fmt.Errorf("reading the API's specification: %w", err)
	}
	return doc, doc.Validate(context.Background())
}

// checkedMux hands a request on only when it is what the specification says of the operation it is for.
type checkedMux struct {
	*http.ServeMux
	server *server
	doc    *openapi3.T
}

// HandleFunc implements the generated code's ServeMux. A pattern is a method and a path, as in the specification below basePath.
func (m *checkedMux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.TrimPrefix(path, basePath)
	item := m.doc.Paths.Value(path)
	route := &routers.Route{Spec: m.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}
	known := map[string]bool{}
	var inPath []string
	for _, list := range []openapi3.Parameters{item.Parameters, route.Operation.Parameters} {
		for _, p := range list {
			switch p.Value.In {
			case openapi3.ParameterInQuery:
				known[p.Value.Name] = true
			case openapi3.ParameterInPath:
				inPath = append(inPath, p.Value.Name)
			}
		}
	}
	m.ServeMux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		values := make(map[string]string, len(inPath))
		for _, name := range inPath {
			values[name] = r.PathValue(name)
		}
		if err := check(r, route, values, known); err != nil {
			m.server.writeProblem(w, r, err)
			return
		}
		handler(w, r)
	})
}

func check(r *http.Request, route *routers.Route, inPath map[string]string, known map[string]bool) error {
	query := r.URL.Query()
	for name := range query {
		if !known[name] {
			return invalid(fmt.Sprintf("There is no parameter %q here.", shortened(name)))
		}
	}
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: inPath, QueryParams: query, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true},
	})
	if err != nil {
		return invalid(explain(err))
	}
	return nil
}

func invalid(detail string) error { return &failure{code: Invalid, detail: detail} }

// explain says which part of a request is wrong, and why.
func explain(err error) string {
	var request *openapi3filter.RequestError
	var schema *openapi3.SchemaError
	var tooLarge *http.MaxBytesError
	reason := err.Error()
	switch {
	case errors.As(err, &tooLarge):
		return fmt.Sprintf("The body is larger than %d bytes.", tooLarge.Limit)
	case errors.As(err, &schema):
		reason = schema.Reason
		if path := schema.JSONPointer(); len(path) > 0 {
			reason = fmt.Sprintf("%q: %s", strings.Join(path, "/"), reason)
		}
	case errors.As(err, &request) && request.Err != nil:
		reason = request.Err.Error()
	case errors.As(err, &request) && request.Reason != "":
		reason = request.Reason
	}
	reason = shortened(reason)
	switch {
	case !errors.As(err, &request):
		return "The request is not understood: " + reason
	case request.Parameter != nil:
		return fmt.Sprintf("Parameter %q: %s", request.Parameter.Name, reason)
	case request.RequestBody != nil:
		return "The body: " + reason
	}
	return reason
}

// shortened keeps what a caller sent from filling the answer.
func shortened(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// explainBinding is for what only the generated code finds: numbers beyond their type, malformed times.
func explainBinding(err error) error {
	var format *InvalidParamFormatError
	var required *RequiredParamError
	switch {
	case errors.As(err, &format):
		return invalid(fmt.Sprintf("Parameter %q: %s", format.ParamName, shortened(format.Err.Error())))
	case errors.As(err, &required):
		return invalid(fmt.Sprintf("Parameter %q is missing.", required.ParamName))
	}
	return invalid(shortened(err.Error()))
}
