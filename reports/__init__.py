"""Pictures and pages about a finished run; they read its folder and influence nothing."""
