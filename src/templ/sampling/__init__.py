"""Makes poses of a query: cores copied from templates, overlays, minimisation, Monte Carlo moves."""
