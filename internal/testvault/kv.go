package testvault

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// serveKV2 serves MOUNT/data/PATH and MOUNT/metadata/PATH; all mounts but kv1
// are of the second engine.
func (v *Vault) serveKV2(r *http.Request, path string, body map[string]any) (int, any) {
	mount, rest, _ := strings.Cut(path, "/")
	kind, rest, _ := strings.Cut(rest, "/")
	at := mount + "/" + rest
	switch {
	case kind == "metadata" && r.URL.Query().Get("list") == "true":
		return listing(at, maps.Keys(v.kv2))
	case kind != "data":
		return fault(http.StatusNotFound)
	}
	all := v.kv2[at]
	switch r.Method {
	case http.MethodGet:
		n := len(all)
		if asked := r.URL.Query().Get("version"); asked != "" {
			n = int(asked[0] - '0')
		}
		if n < 1 || n > len(all) {
			return fault(http.StatusNotFound)
		}
		s := all[n-1]
		meta := map[string]any{"version": n, "deletion_time": s.deletedAt, "destroyed": false}
		if at, err := time.Parse(time.RFC3339Nano, s.deletedAt); err == nil && !at.After(time.Now()) {
			return http.StatusNotFound, reply{Data: map[string]any{"data": nil, "metadata": meta}}
		}
		return http.StatusOK, reply{Data: map[string]any{"data": s.data, "metadata": meta}}
	case http.MethodPost, http.MethodPut:
		options, _ := body["options"].(map[string]any)
		if cas, ok := options["cas"].(float64); ok && int(cas) != len(all) {
			return fault(http.StatusBadRequest, "check-and-set parameter did not match the current version")
		}
		data, _ := body["data"].(map[string]any)
		v.kv2[at] = append(all, secretVersion{data: data})
		return http.StatusOK, reply{Data: map[string]any{"version": len(all) + 1}}
	case http.MethodDelete:
		if len(all) > 0 {
			all[len(all)-1].deletedAt = time.Now().UTC().Format(time.RFC3339Nano)
		}
		return http.StatusNoContent, nil
	}
	return fault(http.StatusMethodNotAllowed)
}

// serveKV1 serves kv1/PATH.
func (v *Vault) serveKV1(r *http.Request, path string, body map[string]any) (int, any) {
	switch {
	case r.URL.Query().Get("list") == "true":
		return listing(strings.TrimSuffix(path, "/")+"/", maps.Keys(v.kv1))
	case r.Method == http.MethodGet && v.kv1[path] == nil:
		return fault(http.StatusNotFound)
	case r.Method == http.MethodGet:
		seconds := int64(2764800)
		if ttl, ok := v.kv1[path]["ttl"].(string); ok {
			if d, err := time.ParseDuration(ttl); err == nil {
				seconds = int64(d / time.Second)
			}
		}
		return http.StatusOK, reply{Data: v.kv1[path], LeaseDuration: seconds}
	case r.Method == http.MethodDelete:
		delete(v.kv1, path)
	default:
		v.kv1[path] = body
	}
	return http.StatusNoContent, nil
}

// listing lists what is directly below a folder.
func listing(folder string, paths func(func(string) bool)) (int, any) {
	folder = strings.TrimSuffix(folder, "/") + "/"
	found := map[string]bool{}
	for p := range paths {
		if rest, ok := strings.CutPrefix(p, folder); ok {
			if head, _, deeper := strings.Cut(rest, "/"); deeper {
				found[head+"/"] = true
			} else {
				found[head] = true
			}
		}
	}
	if len(found) == 0 {
		return fault(http.StatusNotFound)
	}
	return http.StatusOK, reply{Data: map[string]any{"keys": slices.Sorted(maps.Keys(found))}}
}
