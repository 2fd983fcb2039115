"""Pictures of the native tasks' scenes, apart from their dynamics."""
