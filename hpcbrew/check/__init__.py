"""Is a cluster fit for jobs? `checks` asks one question after the other; each module holds those of one kind."""
