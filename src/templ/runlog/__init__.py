"""What a run leaves on disk: manifest, journal of results, poses. Nothing here knows chemistry."""
