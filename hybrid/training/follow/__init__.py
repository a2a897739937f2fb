"""Training of the track network (`hybrid.model.objects.track_net`) on clips whose parts are known also while hidden."""
