"""What a worker does with one task: predict a query, predict and judge a target, build part of a library."""
