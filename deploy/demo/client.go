package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// client reads a node's API.
type client struct{ base, token string }

// The parts of the API's answers that the demonstration looks at.
type (
	status struct {
		Ready   bool     `json:"ready"`
		Reasons []string `json:"reasons"`
	}
	alertPage struct {
		Items []alert `json:"items"`
	}
	alert struct {
		ID           string  `json:"id"`
		Shipment     string  `json:"shipment"`
		Kind         string  `json:"kind"`
		Score        float64 `json:"score"`
		ModelName    string  `json:"modelName"`
		ModelVersion string  `json:"modelVersion"`
		ModelHash    string  `json:"modelHash"`
		InputRoot    string  `json:"inputRoot"`
		Readings     int64   `json:"readings"`
		Message      string  `json:"message"`
		Provenance   struct {
			Block       int64  `json:"block"`
			Transaction string `json:"transaction"`
		} `json:"provenance"`
	}
)

func (c *client) get(ctx context.Context, path string, into any) error {
	body, err := c.fetch(ctx, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

const maxAnswer = 16 << 20

// fetch returns the body of a successful answer; another is an error with what the node said.
func (c *client) fetch(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.300s", path, response.Status, body)
	}
	return body, err
}
