package devices

import (
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"rsc.io/qr"
)

// A sheet is A4 with 3 × 8 labels of 70 × 37 mm, a common size of label paper without margins.
const (
	columns, rows       = 3, 8
	labelWide           = 70.0
	labelHigh           = 37.0
	sheetTop            = 0.5 // (297 - 8·37)/2
	labelEdge, codeSide = 3.5, 27.0
)

// Link is what a label's QR code holds.
func (c *Card) Link() string {
	return fmt.Sprintf("trailmark://device/%s/%s?lane=%d&key=%s", c.Owner, c.ID, c.Lane, c.Fingerprint)
}

// WriteLabels writes a PDF with a label for each device: QR code, name, owner, topic, calibration, fingerprint of the key.
func WriteLabels(w io.Writer, cards []Card) error {
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.SetMargins(0, 0, 0)
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetTitle("Trailmark device labels", true)
	for i := range cards {
		place := i % (columns * rows)
		if place == 0 {
			pdf.AddPage()
		}
		if err := drawLabel(pdf, &cards[i], float64(place%columns)*labelWide, sheetTop+float64(place/columns)*labelHigh); err != nil {
			return fmt.Errorf("drawing the label of %s: %w", cards[i].ID, err)
		}
	}
	if err := pdf.Output(w); err != nil {
		return fmt.Errorf("writing labels: %w", err)
	}
	return nil
}

func drawLabel(pdf *fpdf.Fpdf, c *Card, x, y float64) error {
	code, err := qr.Encode(c.Link(), qr.M)
	if err != nil {
		return err
	}
	x, y = x+labelEdge, y+(labelHigh-codeSide)/2
	drawCode(pdf, code, x, y)
	left, wide := x+codeSide+2, labelWide-codeSide-2*labelEdge-2
	pdf.SetXY(left, y)
	line := func(style string, size float64, text string) {
		pdf.SetFont("Helvetica", style, size)
		for pdf.GetStringWidth(text) > 2*wide && size > 4 { // two lines at most
			size -= 0.5
			pdf.SetFontSize(size)
		}
		pdf.SetX(left)
		pdf.MultiCell(wide, size*0.42, text, "", "L", false)
		pdf.SetY(pdf.GetY() + 0.5)
	}
	line("B", 9, c.ID)
	line("", 6.5, c.Owner)
	line("", 5.5, c.Topic)
	if c.CalibrationDue != 0 {
		line("", 6.5, "Calibration due "+c.CalibrationDue.Time().Format(time.DateOnly))
	}
	line("", 5.5, "Key "+grouped(c.Fingerprint.String()[:24]))
	return nil
}

// drawCode draws the modules of a QR code with the quiet zone of four that it needs, runs of a row at once.
func drawCode(pdf *fpdf.Fpdf, code *qr.Code, x, y float64) {
	const quiet = 4
	module := codeSide / float64(code.Size+2*quiet)
	pdf.SetFillColor(0, 0, 0)
	for row := range code.Size {
		for from := 0; from < code.Size; {
			to := from
			for to < code.Size && code.Black(to, row) {
				to++
			}
			if to > from {
				pdf.Rect(x+float64(from+quiet)*module, y+float64(row+quiet)*module, float64(to-from)*module, module, "F")
			}
			from = to + 1
		}
	}
}

func grouped(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(digits[i:min(i+4, len(digits))])
	}
	return b.String()
}
