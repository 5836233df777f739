"""The pixels of image files: decoded, turned upright, cropped and resized, or refused."""
