package secretset

// modelKinds are of language models and of what agents use.
func modelKinds() []kind {
	return []kind{
		prefixed("anthropic-key", "Anthropic", "ANTHROPIC_API_KEY", pattern(`sk-ant-api03-[\w-]{93}AA`)),
		prefixed("anthropic-admin-key", "Anthropic", "ANTHROPIC_ADMIN_KEY", pattern(`sk-ant-admin01-[\w-]{93}AA`)),
		prefixed("anthropic-oauth-token", "Anthropic", "CLAUDE_CODE_OAUTH_TOKEN", pattern(`sk-ant-oat01-[\w-]{93}AA`)),
		prefixed("openai-project-key", "OpenAI", "OPENAI_API_KEY", pattern(`sk-proj-[\w-]{74}T3BlbkFJ[\w-]{74}`)),
		prefixed("openai-key", "OpenAI", "OPENAI_API_KEY", pattern(`sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}`)),
		prefixed("openai-service-key", "OpenAI", "OPENAI_API_KEY", pattern(`sk-svcacct-[\w-]{74}T3BlbkFJ[\w-]{74}`)),
		prefixed("openai-admin-key", "OpenAI", "OPENAI_ADMIN_KEY", pattern(`sk-admin-[\w-]{58}T3BlbkFJ[\w-]{58}`)),
		prefixed("huggingface-token", "Hugging Face", "HF_TOKEN", pattern(`hf_[A-Za-z]{34}`)),
		prefixed("replicate-token", "Replicate", "REPLICATE_API_TOKEN", pattern(`r8_[A-Za-z0-9]{37}`)),
		prefixed("groq-key", "Groq", "GROQ_API_KEY", pattern(`gsk_[A-Za-z0-9]{52}`)),
		prefixed("perplexity-key", "Perplexity", "PERPLEXITY_API_KEY", pattern(`pplx-[A-Za-z0-9]{48}`)),
		prefixed("xai-key", "xAI", "XAI_API_KEY", pattern(`xai-[A-Za-z0-9]{80}`)),
		prefixed("openrouter-key", "OpenRouter", "OPENROUTER_API_KEY", pattern(`sk-or-v1-[0-9a-f]{64}`)),
		prefixed("langsmith-key", "LangSmith", "LANGSMITH_API_KEY", pattern(`lsv2_pt_[0-9a-f]{32}_[0-9a-f]{10}`)),
		prefixed("langfuse-secret-key", "Langfuse", "LANGFUSE_SECRET_KEY", value(func(r random) string { return "sk-lf-" + r.uuid() })),
		prefixed("tavily-key", "Tavily", "TAVILY_API_KEY", pattern(`tvly-dev-[A-Za-z0-9]{32}`)),
		prefixed("e2b-key", "E2B", "E2B_API_KEY", pattern(`e2b_[0-9a-f]{40}`)),
		prefixed("pinecone-key", "Pinecone", "PINECONE_API_KEY", pattern(`pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{63}`)),
		prefixed("nvidia-key", "NVIDIA", "NVIDIA_API_KEY", pattern(`nvapi-[\w-]{64}`)),
		prefixed("jina-key", "Jina", "JINA_API_KEY", pattern(`jina_[0-9a-f]{32}[A-Za-z0-9]{28}`)),
		prefixed("voyage-key", "Voyage AI", "VOYAGE_API_KEY", pattern(`pa-[\w-]{43}`)),
		prefixed("firecrawl-key", "Firecrawl", "FIRECRAWL_API_KEY", pattern(`fc-[0-9a-f]{32}`)),
		prefixed("elevenlabs-key", "ElevenLabs", "ELEVENLABS_API_KEY", pattern(`sk_[0-9a-f]{48}`)),
		prefixed("context7-key", "Context7", "CONTEXT7_API_KEY", value(func(r random) string { return "ctx7sk-" + r.uuid() })),
		prefixed("brave-search-key", "Brave Search", "BRAVE_API_KEY", pattern(`BSA[\w-]{28}`)),
		prefixed("apify-token", "Apify", "APIFY_TOKEN", pattern(`apify_api_[A-Za-z0-9]{36}`)),
	}
}
