package fabric

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxMetricsBytes = 8 << 20

var operationsClient = &http.Client{Timeout: 2 * time.Second}

// metric reads one sample of a process's metrics: the first line with that name
// whose labels name the channel. Absent is not an error but false.
func metric(ctx context.Context, operations, name, channel string) (float64, bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, operations+"/metrics", nil)
	if err != nil {
		return 0, false, err
	}
	response, err := operationsClient.Do(request)
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, false, fmt.Errorf("metrics of %s: %s", operations, response.Status)
	}
	return findMetric(io.LimitReader(response.Body, maxMetricsBytes), name, channel)
}

func findMetric(text io.Reader, name, channel string) (float64, bool, error) {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	label := `channel="` + channel + `"`
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name+"{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(rest, "} ")
		if !ok || !strings.Contains(","+labels+",", ","+label+",") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, false, fmt.Errorf("metric %s: %w", name, err)
		}
		return number, true, nil
	}
	return 0, false, lines.Err()
}
