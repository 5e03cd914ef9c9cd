"""A local web app: predict, look at poses, run benchmarks and compare them, in the browser."""
