"""Settings of Ray for tests, on a machine that is busy with other tests."""

PATIENT = {"RAY_worker_niceness": "0", "RAY_raylet_start_wait_time_s": "300", "RAY_USAGE_STATS_ENABLED": "0"}
