module github.com/gatehouse-mcp/gatehouse

go 1.26
