"""Run folders: what a run leaves in writing, who may write there, how it goes on."""
