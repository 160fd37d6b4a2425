mod bounds;
mod laws;
mod operations;
mod thousand;
mod world;
