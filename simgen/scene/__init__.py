"""From a config to a scene that has been simulated: SceneConfig -> SceneSpec -> Trajectory."""
