# Running, images, tests as a whole: filled by tools/.
