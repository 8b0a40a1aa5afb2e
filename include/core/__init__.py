"""What every room needs: settings, errors, artifacts, progress. It knows no other room."""
