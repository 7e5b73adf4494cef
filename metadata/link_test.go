package metadata_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

func TestSignedURLLeadsToTheFile(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	recorder.SetContent("c1", "01", metadatatest.Content{Data: []byte("one file")})
	recorder.SetContent("c1", "", metadatatest.Content{Data: []byte("all files")})
	for fileID, want := range map[string]string{"01": "one file", "": "all files"} {
		link, err := client.SignedURL(t.Context(), "c1", fileID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Get(link.String())
		if err != nil {
			t.Fatal(err)
		}
		body := readAll(t, response.Body)
		http.DefaultClient.CloseIdleConnections()
		if response.StatusCode != 200 || body != want {
			t.Errorf("%q: %d %q", fileID, response.StatusCode, body)
		}
	}
}

func TestSignedURLExpires(t *testing.T) {
	recorder, client := start(t, metadata.ClientConfig{})
	recorder.SetContent("c1", "", metadatatest.Content{})
	link, err := client.SignedURL(t.Context(), "c1", "", 90*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var expires int64
	if err := json.Unmarshal([]byte(link.Query().Get("expires")), &expires); err != nil {
		t.Fatal(err)
	}
	if in := time.Until(time.Unix(expires, 0)); in < 80*time.Minute || in > 90*time.Minute {
		t.Errorf("expires in %v", in)
	}
}

func TestSignedURLFaults(t *testing.T) {
	link := func(u string) metadatatest.Fault {
		answer, _ := json.Marshal(map[string]string{"signed_url": u})
		return metadatatest.Body("application/json", string(answer))
	}
	const sign = "S1gnature"
	for name, c := range map[string]struct {
		fault metadatatest.Fault
		want  error
	}{
		"401":         {metadatatest.Status(401, ""), metadata.ErrDenied},
		"403":         {metadatatest.Status(403, ""), metadata.ErrDenied},
		"404":         {metadatatest.Status(404, ""), metadata.ErrNotFound},
		"500":         {metadatatest.Status(500, ""), metadata.ErrUnavailable},
		"hang":        {metadatatest.Hang(nil), metadata.ErrTimeout},
		"redirect":    {metadatatest.Redirect("/login"), metadata.ErrMalformed},
		"login page":  {metadatatest.Body("text/html", "<html>Log in"), metadata.ErrMalformed},
		"empty":       {metadatatest.Body("application/json", ""), metadata.ErrMalformed},
		"no link":     {metadatatest.Body("application/json", "{}"), metadata.ErrMalformed},
		"a number":    {metadatatest.Body("application/json", `{"signed_url":1}`), metadata.ErrMalformed},
		"cut":         {metadatatest.Body("application/json", `{"signed_url":"https://r/?sign=`+sign), metadata.ErrMalformed},
		"endless":     {metadatatest.Endless(), metadata.ErrMalformed},
		"gzip bomb":   {metadatatest.GzipBomb(), metadata.ErrMalformed},
		"long":        {link("https://r/?sign=" + sign + strings.Repeat("a", 5000)), metadata.ErrMalformed},
		"javascript":  {link("javascript:alert('" + sign + "')"), metadata.ErrMalformed},
		"data":        {link("data:text/html," + sign), metadata.ErrMalformed},
		"relative":    {link("/calls/file/c1/signed?sign=" + sign), metadata.ErrMalformed},
		"no scheme":   {link("//r/calls?sign=" + sign), metadata.ErrMalformed},
		"no host":     {link("https:///calls?sign=" + sign), metadata.ErrMalformed},
		"only a port": {link("https://:80/calls?sign=" + sign), metadata.ErrMalformed},
		"a user":      {link("https://u:p@r/?sign=" + sign), metadata.ErrMalformed},
		"backslash":   {link(`https://r\@evil/?sign=` + sign), metadata.ErrMalformed},
		"two lines":   {link("https://r/?sign=" + sign + "\r\nSet-Cookie: a=b"), metadata.ErrMalformed},
		"a space":     {link("https://r/a b?sign=" + sign), metadata.ErrMalformed},
		"not ASCII":   {link("https://r\u200b.evil/?sign=" + sign), metadata.ErrMalformed},
		"bad escape":  {link("https://r/%zz?sign=" + sign), metadata.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := patient
			if c.want == metadata.ErrTimeout || c.want == metadata.ErrUnavailable {
				timeout = brief
			}
			recorder, client := start(t, metadata.ClientConfig{Timeout: timeout})
			recorder.SetContent("c1", "01", metadatatest.Content{})
			recorder.FailLink("c1", c.fault)
			link, err := client.SignedURL(t.Context(), "c1", "01", time.Hour)
			wantError(t, err, c.want)
			if link != nil || strings.Contains(err.Error(), sign) {
				t.Errorf("%v, %v", link, err)
			}
			if health := client.Health(); !health.Up {
				t.Errorf("health, which is that of look-ups: %+v", health)
			}
		})
	}
}
