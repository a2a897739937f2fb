"""Scenes, from their config to the end of their simulation: SceneConfig -> SceneSpec -> Trajectory."""
